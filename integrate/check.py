"""A user's configuration held to what its graph expects: each mistake, its cost, and the corrected file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from osnet_edge.integrate.consumers.base import Configuration, Consumer, Fault
from osnet_edge.integrate.consumers.registry import consumer_of
from osnet_edge.integrate.differences import differences
from osnet_edge.integrate.documents import OPENCV_HEADER, encoded_like
from osnet_edge.integrate.emulation import Embed, Network, Reference, unit
from osnet_edge.integrate.graphs import FedGraph
from osnet_edge.integrate.interface import expected_of
from osnet_edge.integrate.pipeline import Pipeline
from osnet_edge.integrate.scoring import TestImages
from osnet_edge.integrate.source import Source
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_aside, write_file
from osnet_edge.runtime.preprocessing import Preprocessing

#: By which a corrected file is told from the user's own.
_MARK = "# Corrected by `osnet-edge integrate check`.\n"


@dataclass(frozen=True)
class Finding:
    """A mistake, and what it costs.

    Attributes:
        name: for people.
        fault: keys, values and reason.
        cost: points of mAP that it costs alone, everything else right; None where it was not measured.
        mixed_cost: the same where the gallery was embedded as the package does.
    """

    name: str
    fault: Fault
    cost: float | None = None
    mixed_cost: float | None = None


@dataclass(frozen=True)
class Checked:
    """A configuration that was checked.

    Attributes:
        path: its file.
        consumer: whose it is.
        graph: the ONNX file that it names and that was found; None where the network was taken for an export
            that leaves normalisation to its caller.
        findings: mistakes, those of the pipeline first.
        package: mAP of the package in percent; None where no set was given.
        kept: mAP with all mistakes together; None as above, or where nothing would be computed.
        changes: values that correct it, by key; empty where none can.
        replacement: the graph that they fit, where it has to be another than the one there; None else.
    """

    path: Path
    consumer: Consumer
    graph: Path | None
    findings: tuple[Finding, ...]
    package: float | None
    kept: float | None
    changes: Mapping[str, Any]
    replacement: FedGraph | None

    def write_corrected(self, path: Path) -> tuple[Path, ...]:
        """Write the corrected configuration, and the graph that it needs where it is another.

        Returns:
            The files that were written; none where no value and no graph corrects it.

        Raises:
            InputError: a file is where the graph belongs.
        """
        if not self.changes and not self.replacement:
            return ()
        changes, written = dict(self.changes), [path]
        if self.replacement:
            graph = self.consumer.graph_at(path)
            if graph.exists():
                raise InputError(
                    f"the corrected configuration needs a graph at {graph}, and a file is there; name a "
                    "file in another folder"
                )
            graph.parent.mkdir(exist_ok=True)
            with write_aside(graph) as partial:
                self.replacement.save(partial)
            changes.update(self.consumer.name_graph(graph))
            written.append(graph)
        text = self.consumer.corrected(self.path, changes)
        # Behind the line that OpenCV's YAML has to begin with.
        head = f"{OPENCV_HEADER}\n" if text.startswith(OPENCV_HEADER) else ""
        marked = f"{head}{_MARK}{text.removeprefix(head).removeprefix(_MARK)}"
        write_file(path, encoded_like(self.path, marked))
        return tuple(written)


def check(
    config: Path | str,
    *,
    source: Source | None = None,
    images: TestImages | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Checked:
    """Read a configuration that a user has, and name its mistakes.

    Args:
        config: the file.
        source: the network that it is meant for, by which costs are measured; None takes a public OSNet at
            its usual size, and measures nothing.
        images: a set to measure costs on; needs a source.
        progress: called with a line for each step.

    Raises:
        InputError: it is no configuration of a consumer that is known here, or a graph that it names cannot
            be read.
    """
    path = Path(config)
    consumer = consumer_of(path)
    how = source.info.preprocessing if source else Preprocessing()
    size = source.info.model.embedding_size if source else None
    read = consumer.read(path, size)
    expected = expected_of(read.graph, how) if read.graph else consumer.assumed(read.pipeline, how)
    # What a graph of others does not say, the package does.
    expected = replace(expected, size=expected.size or size or read.pipeline.size)
    read = replace(read, pipeline=consumer.settled(read.pipeline, expected))
    named = [*differences(consumer, read, expected), *(("setting", fault) for fault in read.faults)]
    findings = [Finding(name, fault) for name, fault in named]
    package = kept = None
    if source and images:
        costs = _Costs(source, images, read, expected, progress)
        package = costs.package
        findings = [costs.of(finding) for finding in findings]
        kept = costs.all_together(findings)
    changes, replacement = _correct(consumer, read, findings, source)
    return Checked(path, consumer, read.graph, tuple(findings), package, kept, changes, replacement)


def _correct(
    consumer: Consumer, read: Configuration, findings: Sequence[Finding], source: Source | None
) -> tuple[dict[str, Any], FedGraph | None]:
    """Return the values that correct a configuration, and the graph that they fit, if it is another."""
    faults, replacement = [finding.fault for finding in findings], None
    if source and not all(fault.changes for fault in faults):
        replacement = consumer.feed(source)
        fitting = (fault for _, fault in differences(consumer, read, replacement.pipeline))
        faults = [*fitting, *read.faults]
    return {key: value for fault in faults for key, value in fault.changes.items()}, replacement


class _Costs:
    """mAP of one network behind several pipelines, on one set."""

    def __init__(
        self,
        source: Source,
        images: TestImages,
        read: Configuration,
        expected: Pipeline,
        progress: Callable[[str], None],
    ) -> None:
        self._images, self._expected, self._progress = images, expected, progress
        how = source.info.preprocessing
        self._network = Network(read.graph, expected, how.interpolation) if read.graph else None
        self._reference = Reference(source)
        progress(f"embedding {images.count} images as the package does")
        self._own = images.embed(source.embed)
        self.package = images.mean_ap(self._own, self._own)
        self._read = read
        # One mistake alone is what all together are.
        self._scores = cache(self._measured)
        self._right = self.package, self.package
        if self._network:
            # The graph that is named may hold other weights than the package.
            progress("measuring the graph as it should be fed")
            self._right = self._scores(expected)

    def of(self, finding: Finding) -> Finding:
        """Return a finding with what it costs alone."""
        pipeline = finding.fault.pipeline
        self._progress(f"measuring the {finding.name}")
        scores = self._scores_if_run(pipeline) if pipeline else None
        if scores is None:
            return finding
        return replace(finding, cost=self._right[0] - scores[0], mixed_cost=self._right[1] - scores[1])

    def all_together(self, findings: list[Finding]) -> float | None:
        """Return mAP of the configuration as it is; None where it computes nothing."""
        broken = any(each.fault.pipeline is None and each.name != "setting" for each in findings)
        self._progress("measuring everything together")
        scores = None if broken else self._scores_if_run(self._read.pipeline)
        return scores[0] if scores else None

    def _scores_if_run(self, pipeline: Pipeline) -> tuple[float, float] | None:
        """Return the scores of a wrong pipeline; None where the network takes no images of its size."""
        if self._network and not self._network.takes(pipeline):
            return None
        try:
            return self._scores(pipeline)
        except InputError:
            # A graph that leaves the size free need not run at every one. As it should be fed, it did.
            return None

    def _measured(self, pipeline: Pipeline) -> tuple[float, float]:
        """Return mAP among the consumer's own embeddings, and with the package's gallery."""
        rows = self._images.embed(self._embed(pipeline))
        width, own = rows.rows.shape[1], self._own.rows.shape[1]
        if width != own:
            raise InputError(
                f"expected a graph of the package's network, and {self._read.graph} gives {width} floats and "
                f"not {own}; name the package of that network"
            )
        score = self._images.mean_ap
        return (
            score(rows, rows, by_angle=pipeline.normalized),
            score(rows, self._own, by_angle=pipeline.normalized),
        )

    def _embed(self, pipeline: Pipeline) -> Embed:
        network = self._network
        if network is None:
            return lambda crops: unit(self._reference.misled(crops, pipeline, self._expected), pipeline)
        return lambda crops: network.embed(crops, pipeline)
