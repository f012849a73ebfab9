"""A consumer: the program that an engine is plugged into, and the files by which it is told how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, ClassVar, Literal

from osnet_edge.integrate.documents import open_document
from osnet_edge.integrate.graphs import FedGraph
from osnet_edge.integrate.pipeline import Pipeline, normalized_pipeline
from osnet_edge.integrate.source import Source
from osnet_edge.runtime.errors import printable
from osnet_edge.runtime.preprocessing import Preprocessing

#: In the first lines of every configuration that is written here, by which it is known again.
WRITTEN_BY = "Written by `osnet-edge integrate`"
Precision = Literal["fp32", "fp16", "fp16-typed"]


@dataclass(frozen=True)
class Setting:
    """One value of a configuration, and why it is that.

    Attributes:
        key: dotted, as the consumer spells it.
        value: as it is written.
        why: one line for the reader of the file.
    """

    key: str
    value: Any
    why: str


@dataclass(frozen=True)
class Fault:
    """A mistake in a configuration.

    Attributes:
        keys: dotted, of the values to change.
        found: what stands there.
        expected: what has to.
        why: what comes of it.
        changes: new values by key; empty where the graph has to be another.
        pipeline: what the consumer computes where everything else is right; None where it computes nothing
            that could be measured.
    """

    keys: tuple[str, ...]
    found: str
    expected: str
    why: str
    changes: Mapping[str, Any]
    pipeline: Pipeline | None = None


@dataclass(frozen=True)
class Configuration:
    """A configuration as a consumer reads it.

    Attributes:
        path: its file.
        pipeline: what it makes of a crop.
        graph: the ONNX file that it names, next to it or elsewhere; None where it names none.
        faults: mistakes that say nothing of the pipeline.
    """

    path: Path
    pipeline: Pipeline
    graph: Path | None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a consumer's files are written for.

    Attributes:
        source: the network.
        graph: as the consumer takes it.
        precision: that its builder shall compute in, where the consumer has a choice.
        batch: largest number of crops at once.
        place: absolute path of the folder where the consumer runs.
    """

    source: Source
    graph: FedGraph
    precision: Precision
    batch: int
    place: str

    @property
    def size(self) -> int:
        """Floats of an embedding."""
        return self.source.info.model.embedding_size

    @property
    def computes(self) -> str:
        """What it is computed in, as names of engines have it: Q/DQ say INT8, whatever else is asked for."""
        return "int8" if self.source.quantized else self.precision

    def threshold(self, usual: float) -> tuple[float, str]:
        """Return the cosine from which two embeddings are one person's, and where it is from.

        Args:
            usual: for packages that nobody has measured.
        """
        found = self.source.threshold
        if found is None:
            return usual, "a guess: osnet-edge calibrate --threshold measures it"
        # A folder's name may hold what would begin a line of its own.
        where = printable(found.set)
        return round(found.cosine, 4), f"accepts {found.far * 100:g} % of other people, on {where}"


class Consumer(ABC):
    """One program that takes engines.

    Attributes:
        name: of the consumer, and of its page of instructions.
        title: for people.
        version: whose documentation and files it was written from.
        config: path of the configuration in the folder that is written.
        model: path of the graph in it.
        precisions: that its builder can be asked for; the first is the default.
        exact_resize: whether it resizes as the package does, so that embeddings can be compared on crops of
            any size.
        keys: which keys of the configuration decide each attribute of `Pipeline`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[str]
    config: ClassVar[str]
    model: ClassVar[str] = "osnet.onnx"
    precisions: ClassVar[tuple[Precision, ...]] = ("fp16", "fp32")
    exact_resize: ClassVar[bool] = True
    keys: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    @property
    def configs(self) -> tuple[str, ...]:
        """All configurations in the folder, each of which is proved."""
        return (self.config,)

    @property
    def spelling(self) -> str:
        """As `--for` takes it."""
        return self.name

    @abstractmethod
    def feed(self, source: Source) -> FedGraph:
        """Return the graph that the consumer takes.

        Raises:
            InputError: there is none of this network.
        """

    @abstractmethod
    def files(self, plan: Plan) -> dict[str, str]:
        """Return the text of every file but the graph, by its path in the folder."""

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Whether a file is a configuration of this consumer."""

    @abstractmethod
    def read(self, path: Path, size: int | None = None) -> Configuration:
        """Read a configuration as the consumer does, with its defaults for what is left out.

        Args:
            path: the file.
            size: floats of the network's embedding, where it is known.

        Raises:
            InputError: it is not one, or names no network for re-identification.
        """

    def corrected(self, path: Path, changes: Mapping[str, Any]) -> str:
        """Return a configuration's text with values changed by key, comments and all else kept."""
        return open_document(path).replace(changes)

    def assumed(self, read: Pipeline, how: Preprocessing) -> Pipeline:
        """Return what a graph that is not here is taken to expect: what most exporters write.

        Args:
            read: from the configuration.
            how: the network's preprocessing.
        """
        return normalized_pipeline(how)

    def settled(self, read: Pipeline, expected: Pipeline) -> Pipeline:
        """Return a pipeline in which all that the configuration leaves to others is as its graph expects."""
        return read

    def graph_at(self, config: Path) -> Path:
        """Return where a graph belongs for a configuration: by default beside it."""
        return config.with_name(Path(self.model).name)

    @abstractmethod
    def name_graph(self, graph: Path) -> dict[str, Any]:
        """Return the values by which a configuration names a graph, and no longer the engine of another."""

    @abstractmethod
    def spell(self, pipeline: Pipeline, part: str) -> Any:
        """Return an attribute of a pipeline as the configuration writes it, by the keys of `keys`.

        Returns:
            One value for each of `keys[part]`, or None where no value can say it.
        """


def readme(consumer: Consumer, plan: Plan, **more: str) -> str:
    """Fill the page of instructions of a consumer, which stands beside its module."""
    text = Path(__file__).with_name(f"{consumer.name}.md").read_text(encoding="utf-8")
    how = plan.source.info.preprocessing
    return Template(text).substitute(
        title=consumer.title,
        version=consumer.version,
        place=plan.place,
        config=consumer.config,
        model=consumer.model,
        variant=plan.source.info.model.variant,
        size=str(plan.size),
        height=str(how.height),
        width=str(how.width),
        batch=str(plan.batch),
        precision=plan.computes,
        **more,
    )


def numbers(values: Sequence[float]) -> list[float]:
    """Return numbers as a person writes them: eight digits, and no more than are there."""
    return [float(f"{value:.8g}") for value in values]
