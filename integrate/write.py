"""A folder for one consumer: the graph that it takes, its configuration, and a page of instructions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from osnet_edge.integrate.consumers.base import WRITTEN_BY, Consumer, Plan, Precision
from osnet_edge.integrate.consumers.registry import consumer_named
from osnet_edge.integrate.documents import read_text
from osnet_edge.integrate.emulation import Network
from osnet_edge.integrate.proof import Proof, prove, prove_float16
from osnet_edge.integrate.scoring import TestImages
from osnet_edge.integrate.source import Source, open_source
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import require_folder, write_folder_aside
from osnet_edge.runtime.preprocessing import Picture

#: Crops at once, for graphs and packages that set no limit.
USUAL_BATCH = 32
#: What consumers build of a graph and keep beside it, and build again.
_ENGINES = (".engine", ".plan")


@dataclass(frozen=True)
class Kept:
    """What a configuration keeps of accuracy, in percent of mAP.

    Attributes:
        package: the package's own.
        consumer: of embeddings that the consumer computes.
        mixed: with queries of the consumer and a gallery of the package.
    """

    package: float
    consumer: float
    mixed: float


@dataclass(frozen=True)
class Integration:
    """What was written.

    Attributes:
        folder: where.
        consumer: for whom.
        source: the network.
        files: their names in the folder.
        proof: that it computes what the package does.
        kept: of accuracy; None where no set was given.
    """

    folder: Path
    consumer: Consumer
    source: Source
    files: tuple[str, ...]
    proof: Proof
    kept: Kept | None = None


def integrate(
    package: Path | str,
    consumer: str,
    output: Path | str,
    *,
    crops: Sequence[Picture],
    precision: Precision | None = None,
    batch: int | None = None,
    place: str | None = None,
    images: TestImages | None = None,
    replace: bool = False,
    progress: Callable[[str], None] = lambda step: None,
) -> Integration:
    """Write what a consumer needs to run a package's network, and prove it.

    The configuration is read back from the folder and applied to synthetic crops: the embeddings have to be
    the package's. Only then does the folder appear.

    Args:
        package: an engine package with a graph in it, or an ONNX file of `osnet-edge export`.
        consumer: as `consumer_named` spells it.
        output: the folder to write.
        crops: H x W x 3 uint8 RGB images of people, for the proof.
        precision: that the consumer's builder shall compute in; None takes its usual one.
        batch: largest number of crops at once; None takes the package's.
        place: absolute path that the folder will have where the consumer runs; None is where it is written.
        images: a set to measure what is kept of mAP; None measures nothing.
        replace: whether a folder that is there is replaced.
        progress: called with a line for each step.

    Raises:
        InputError: the package cannot be plugged in there, or an option does not suit the consumer.
        CheckError: the consumer would compute something else; nothing is written.
    """
    wanted, output = consumer_named(consumer), Path(output)
    if output.exists() and not replace:
        raise InputError(f"{output} is already there; pass --force to replace it, or name another output")
    require_folder(output, replace=replace)
    progress("reading the network")
    source = open_source(package)
    plan = Plan(
        source=source,
        graph=wanted.feed(source),
        precision=_precision(wanted, source, precision),
        batch=batch or (source.batch.max if source.batch and source.batch.max else USUAL_BATCH),
        place=place or str(output.absolute()),
    )
    texts = wanted.files(plan)
    if output.exists():
        _require_own(output, wanted, texts)
    with write_folder_aside(output, replace=replace) as folder:
        progress("writing the graph and its configuration")
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        graph = folder / wanted.model
        graph.parent.mkdir(parents=True, exist_ok=True)
        plan.graph.save(graph)
        progress("computing what the configuration says")
        configs = [folder / name for name in wanted.configs]
        proofs = [prove(wanted, config, graph, source, crops) for config in configs]
        rounded = None
        if plan.precision == "fp16-typed":
            # Only now: what is rounded cannot be held as closely.
            plan.graph.in_float16().save(graph)
            rounded = prove_float16(wanted, configs[0], graph, source, crops)
        kept = _measure(wanted, configs[0], graph, source, images, progress) if images else None
        files = tuple(sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()))
    worst = Proof(max(each.difference for each in proofs), max(each.resize for each in proofs), rounded)
    return Integration(output, wanted, source, files, worst, kept)


def _precision(consumer: Consumer, source: Source, asked: Precision | None) -> Precision:
    if asked is None:
        return consumer.precisions[0]
    if asked not in consumer.precisions:
        known = " or ".join(consumer.precisions)
        raise InputError(f"expected --precision {known} for {consumer.spelling}, got {asked}")
    if asked == "fp16-typed" and source.quantized:
        raise InputError(
            "expected a float32 network for --precision fp16-typed, and this one has Q/DQ, which are types "
            "already; leave the option out"
        )
    return asked


def _require_own(folder: Path, consumer: Consumer, names: Collection[str]) -> None:
    """Refuse to replace a folder unless it was written for the same consumer, and nobody added files.

    Raises:
        InputError: it is another folder, or holds something else.
    """
    config = folder / consumer.config
    if not config.is_file() or WRITTEN_BY not in read_text(config):
        raise InputError(
            f"{folder} holds no {consumer.config} of osnet-edge, so it is not replaced; name another output"
        )
    files = (each for each in folder.rglob("*") if not each.is_dir() and each.suffix not in _ENGINES)
    added = {each.relative_to(folder).as_posix() for each in files} - {*names, consumer.model}
    if added:
        raise InputError(
            f"{folder} holds {min(added)}, which is not replaced; move it, or name another output"
        )


def _measure(
    consumer: Consumer,
    config: Path,
    graph: Path,
    source: Source,
    images: TestImages,
    progress: Callable[[str], None],
) -> Kept:
    """Embed a set twice, as the package does and as the consumer will."""
    progress(f"embedding {images.count} images as the package does")
    own = images.embed(source.embed)
    progress(f"embedding {images.count} images as {consumer.title} will")
    read = consumer.read(config, source.info.model.embedding_size)
    network = Network.of(graph, source.info.preprocessing)
    theirs = images.embed(lambda crops: network.embed(crops, read.pipeline))
    return Kept(images.mean_ap(own, own), images.mean_ap(theirs, theirs), images.mean_ap(theirs, own))
