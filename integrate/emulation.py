"""A consumer emulated from its configuration: crops in, the embeddings that it would compute out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from osnet_edge.engines.graph.reading import Graph
from osnet_edge.engines.graph.running import open_graph
from osnet_edge.integrate.graphs import planes_graph
from osnet_edge.integrate.interface import expected_of
from osnet_edge.integrate.pipeline import Floats, Pipeline, by_channel
from osnet_edge.integrate.source import Source
from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.package.graph_info import INPUT_NAME
from osnet_edge.runtime.preprocessing import Interpolation, Picture, Preprocessing

_BATCH = 32

Embed = Callable[[Sequence[Picture]], Floats]


@dataclass(frozen=True, eq=False)
class Network:
    """A graph that a consumer runs.

    Attributes:
        path: of the graph.
        pipeline: that it expects.
        interpolation: that stands for a consumer's bilinear filter.
    """

    path: Path
    pipeline: Pipeline
    interpolation: Interpolation

    @classmethod
    def of(cls, path: Path, how: Preprocessing) -> Network:
        """Take a graph for what it says of itself; arguments and errors as of `expected_of`."""
        return cls(path, expected_of(path, how), how.interpolation)

    @cached_property
    def _session(self) -> Any:
        with self._told():
            return open_graph(self.path)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell in a line what ONNX Runtime says of a graph of others.

        Raises:
            InputError: it cannot be run.
        """
        try:
            yield
        except Exception as error:
            # ONNX Runtime's exceptions have no common base of their own to catch.
            raise InputError(f"{self.path} cannot be run: {first_line(error)}") from None

    def rows(self, crops: Sequence[Picture], pipeline: Pipeline) -> Floats:
        """Return embeddings (N, D) of crops that went through a pipeline, as the graph gives them.

        Args:
            crops: H x W x 3 uint8 RGB arrays of any sizes.
            pipeline: that they go through, of the graph's own size, layout and type.

        Raises:
            InputError: the graph cannot be run.
        """
        session, parts = self._session, []
        given = session.get_inputs()[0]
        # Others' exporters often leave a batch of one.
        fixed = given.shape[0] if isinstance(given.shape[0], int) else None
        for start in range(0, len(crops), fixed or _BATCH):
            part = list(crops[start : start + (fixed or _BATCH)])
            filled = part + part[-1:] * (fixed - len(part) if fixed else 0)
            batch = pipeline.tensor(filled, self.interpolation)
            with self._told():
                rows: Floats = session.run(None, {given.name: batch})[0].astype(np.float32)
            parts.append(rows.reshape(len(batch), -1)[: len(part)])
        return np.concatenate(parts)

    def embed(self, crops: Sequence[Picture], pipeline: Pipeline) -> Floats:
        """Return embeddings as the consumer compares them; arguments and errors as of `rows`."""
        return unit(self.rows(crops, pipeline), pipeline)

    def takes(self, pipeline: Pipeline) -> bool:
        """Whether the graph takes images of a pipeline's size."""
        shape = self._session.get_inputs()[0].shape
        sides = shape[2:] if self.pipeline.layout == "NCHW" else shape[1:3]
        wanted = (pipeline.height, pipeline.width)
        return all(side == asked for side, asked in zip(sides, wanted, strict=True) if isinstance(side, int))


@dataclass(frozen=True, eq=False)
class Reference:
    """A package's network, fed with whatever pixels and arithmetic a consumer has.

    Attributes:
        source: the network.
    """

    source: Source

    @cached_property
    def _planes(self) -> tuple[Any, Pipeline]:
        graph = planes_graph(self.source.graph, self.source.info)
        sides = graph.model.graph.input[0].type.tensor_type.shape.dim[2:]
        # OSNet averages over the image at its end, so that it takes images of other sizes too.
        for dimension, name in zip(sides, "hw", strict=True):
            dimension.dim_param = name
        return open_graph(Graph(graph.model)), graph.pipeline

    def rows(self, pixels: Floats) -> Floats:
        """Return embeddings (N, D) of RGB pixels (N, H, W, 3) in levels of 0 to 255, not whole ones."""
        session, mine = self._planes
        parts = []
        for start in range(0, len(pixels), _BATCH):
            part = pixels[start : start + _BATCH]
            given = (part - by_channel(mine.offsets)) * by_channel(mine.scale)
            planes = np.ascontiguousarray(given.transpose(0, 3, 1, 2))
            parts.append(session.run(None, {INPUT_NAME: planes})[0])
        return np.concatenate(parts)

    def misled(self, crops: Sequence[Picture], pipeline: Pipeline, expected: Pipeline) -> Floats:
        """Return embeddings of crops whose numbers go into a graph that expects another pipeline.

        What a graph expects of a channel is `a * (pixel - b)`. So a number `t` is to it what the pixel
        `t / a + b` would be, and that pixel is given to the network.

        Args:
            crops: H x W x 3 uint8 RGB arrays of any sizes.
            pipeline: that they go through.
            expected: by the graph that the consumer runs.

        Returns:
            (N, D) float32, as the network gives them.
        """
        pixels = pipeline.pixels(crops, self.source.info.preprocessing.interpolation)
        numbers = (pixels - by_channel(pipeline.offsets)) * by_channel(pipeline.scale)
        return self.rows(numbers / by_channel(expected.scale) + by_channel(expected.offsets))


def halved(pixels: Floats, width: int) -> Floats:
    """Average neighbouring columns of (N, H, W, 3) down to a width that divides W."""
    count, height, wide, channels = pixels.shape
    averaged: Floats = pixels.reshape(count, height, width, wide // width, channels).mean(
        axis=3, dtype=np.float32
    )
    return averaged


def unit(rows: Floats, pipeline: Pipeline) -> Floats:
    """Return rows as a consumer compares them: of length 1 if it sees to that, and cut to what it reads."""
    read = rows[:, : pipeline.size] if pipeline.size else rows
    return normalize_rows(read) if pipeline.normalized else read
