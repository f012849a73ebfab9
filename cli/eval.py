"""`osnet-edge eval`: scores of checkpoints and packages on test sets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from osnet_edge.cli.options import (
    echo_json,
    far_option,
    json_flag,
    parse_rates,
    parse_size,
    threads_option,
    typed_command,
    weights_key_option,
)
from osnet_edge.cli.paths import CHECKPOINT_OR_PACKAGE, SET, OutputFile
from osnet_edge.cli.progress import bar, load_package, step
from osnet_edge.cli.replacing import PAGE_HTML, force_option
from osnet_edge.runtime.backends.onnxruntime import default_threads
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.threads import spare_busy_cores

if TYPE_CHECKING:
    from osnet_edge.bench.measure.accuracy import EmbeddedSet, SetEmbedder
    from osnet_edge.bench.report.cross_domain import DomainScores
    from osnet_edge.bench.report.pictures import PictureSection
    from osnet_edge.bench.report.verification import Verifier
    from osnet_edge.train.data import ReidSet

#: A person does not look at more on one page.
_MOST_QUERIES = 200
#: No network gets faster with a larger batch.
_MOST_PICTURES = 1024


@click.command("eval")
@click.argument(
    "checkpoints",
    nargs=-1,
    required=True,
    type=CHECKPOINT_OR_PACKAGE,
)
@click.option(
    "--data", required=True, type=SET, metavar="SET,...", help="Sets to test on: names, folders, tables."
)
@click.option("--size", default="256x128", show_default=True, metavar="HxW", help="Input size.")
@click.option(
    "--distance",
    type=click.Choice(["cosine", "euclidean", "both"]),
    default="cosine",
    show_default=True,
    help="Distance between embeddings.",
)
@far_option
@click.option("--rerank", is_flag=True, help="Also score after k-reciprocal re-ranking.")
@click.option("--batch", default=16, show_default=True, help="Batch size for embedding.")
@threads_option
@weights_key_option
@click.option(
    "--pictures",
    type=OutputFile(PAGE_HTML),
    metavar="FILE",
    help="Write a page of rankings and attention maps (HTML).",
)
@force_option()
@click.option("--queries", default=8, show_default=True, help="Number of queries of each set on that page.")
@click.option("--markdown", is_flag=True, help="Print the tables in Markdown.")
@json_flag
def evaluate(
    checkpoints: tuple[str, ...],
    data: str,
    size: str,
    distance: str,
    far: str | None,
    rerank: bool,
    batch: int,
    threads: int | None,
    weights_key: str | None,
    pictures: str | None,
    queries: int,
    markdown: bool,
    as_json: bool,
) -> None:
    """Score CHECKPOINTS on test sets: Rank-1 to Rank-20, mAP and mINP.

    With several checkpoints or sets, the result is a table of sources by targets. Each checkpoint is named by
    its file name. You can also give engine packages; they are scored with the runtime.

    \b
    Example:
      osnet-edge eval osnet_x0_25_msmt17.pth --data viper --distance both
      osnet-edge eval market.pth msmt17.pth --data viper,street --rerank --pictures page.html
    """
    height, width = parse_size(size)
    preprocessing = Preprocessing(height=height, width=width)
    names = _check(checkpoints, batch, pictures, queries)
    fars = parse_rates(far) if far else ()
    # Before libraries are imported, which takes seconds.
    targets = _open_targets(data)
    tell = step if threads is None else lambda line: None
    # Not torch: a package's engine computes in threads of its own.
    spared = spare_busy_cores(tell, who="this command", most=default_threads())
    import torch

    from osnet_edge.bench.measure.accuracy import embed_set, images_of
    from osnet_edge.bench.metrics.reranking import scipy_sparse
    from osnet_edge.bench.report.page import templates
    from osnet_edge.bench.report.verification import Verifier
    from osnet_edge.runtime.embed_files import embed_files

    threads = threads or spared
    # With the threads, since the number of free cores changes from run to run.
    command = typed_command(threads=threads)
    if pictures:
        templates()
    # Check all inputs before the first image is embedded.
    if rerank:
        scipy_sparse()
    sources = _load_sources(dict(zip(names, checkpoints, strict=True)), preprocessing, threads, weights_key)
    torch.set_num_threads(threads)
    results: list[DomainScores] = []
    verifiers: list[Verifier] = []
    sections: list[PictureSection] = []
    for source, embedder in sources.items():
        for target, splits in targets.items():
            name = f"{source} on {target}"
            with bar(f"embedding {name}", len(images_of(splits))) as advance:
                embed = partial(embed_files, embedder, batch=batch, read=embedder.read, progress=advance)
                embedded = embed_set(embed, splits, splits[0].protocol)
            step(f"scoring {name}")
            results += _score(source, embedder, target, embedded, distance, rerank, threads)
            if fars:
                verifiers.append(Verifier(name, len(verifiers), embedded.verified(fars).figures))
            if pictures:
                by = "cosine" if distance == "both" else distance
                sections.append(_pictures(name, embedder, embedded, by, queries))
    _print(results, verifiers, markdown, as_json)
    if pictures:
        _write_page(pictures, results, verifiers, sections, command)


def _check(checkpoints: Sequence[str], batch: int, pictures: str | None, queries: int) -> list[str]:
    """Return the checkpoints' names.

    Raises:
        InputError: an option is wrong, or two names are the same.
    """
    if not 1 <= queries <= _MOST_QUERIES:
        raise InputError(f"expected --queries from 1 to {_MOST_QUERIES}, got {queries}")
    if not 1 <= batch <= _MOST_PICTURES:
        raise InputError(f"expected --batch from 1 to {_MOST_PICTURES} images, got {batch}")
    if pictures and not pictures.endswith(".html"):
        raise InputError(f"expected --pictures as a file ending in .html, got {pictures}")
    names = [Path(checkpoint).stem for checkpoint in checkpoints]
    if len(set(names)) != len(names):
        raise InputError(f"expected checkpoints of different file names, got {', '.join(names)}")
    return names


def _load_sources(
    checkpoints: dict[str, str], preprocessing: Preprocessing, threads: int, weights_key: str | None
) -> dict[str, SetEmbedder]:
    """Load the checkpoints and packages of some names; a package has its own input size."""
    from osnet_edge.bench.measure.accuracy import PackageEmbedder
    from osnet_edge.runtime.files import MANIFEST_NAME
    from osnet_edge.train.checkpoint import load_osnet
    from osnet_edge.train.embed import TorchEmbedder

    return {
        name: PackageEmbedder(load_package(checkpoint, threads))
        if (Path(checkpoint) / MANIFEST_NAME).is_file()
        else TorchEmbedder(load_osnet(checkpoint, weights_key=weights_key, progress=step), preprocessing)
        for name, checkpoint in checkpoints.items()
    }


def _open_targets(data: str) -> dict[str, tuple[ReidSet, ...]]:
    """Open the sets, keyed by name, and check that every split can be scored."""
    from osnet_edge.bench.metrics.evaluate import check_split
    from osnet_edge.train.data import open_sets, parse_specs

    targets: dict[str, tuple[ReidSet, ...]] = {}
    for spec in parse_specs(data):
        splits = open_sets(spec)
        name = splits[0].name
        if name in targets:
            raise InputError(f"expected sets of different names in --data, got {name} twice")
        for split in splits:
            check_split(split, name)
        targets[name] = splits
    return targets


def _score(
    source: str,
    embedder: SetEmbedder,
    target: str,
    embedded: EmbeddedSet,
    distance: str,
    rerank: bool,
    threads: int,
) -> list[DomainScores]:
    """Score a source on a set with every requested distance, and with re-ranking if requested."""
    from osnet_edge.bench import Reranking
    from osnet_edge.bench.report.cross_domain import DomainScores

    return [
        DomainScores(
            source=source,
            variant=embedder.variant,
            target=target,
            protocol=embedded.protocol,
            splits=len(embedded.splits),
            size=(embedder.preprocessing.height, embedder.preprocessing.width),
            distance=each,
            reranked=reranking is not None,
            scores=embedded.scores(each, reranking=reranking, threads=threads),
        )
        for each in (("cosine", "euclidean") if distance == "both" else (distance,))
        for reranking in ((None, Reranking()) if rerank else (None,))
    ]


def _pictures(
    name: str, embedder: SetEmbedder, embedded: EmbeddedSet, distance: str, count: int
) -> PictureSection:
    """Show some queries with attention maps and nearest images; an engine has no attention maps."""
    from osnet_edge.bench.report.pictures import ranking_section, spread
    from osnet_edge.train.attention import attention_pictures
    from osnet_edge.train.embed import TorchEmbedder

    queries = spread(embedded.splits[0].query, count)
    maps = attention_pictures(embedder, queries) if isinstance(embedder, TorchEmbedder) else ()
    return ranking_section(name, embedded, queries, distance, maps)


def _print(
    results: Sequence[DomainScores], verifiers: Sequence[Verifier], in_markdown: bool, as_json: bool
) -> None:
    from osnet_edge.bench.report.cross_domain import cross_tables, results_document, score_table
    from osnet_edge.bench.report.render import aligned, markdown
    from osnet_edge.bench.report.verification import threshold_table

    if as_json:
        echo_json(results_document(results, verifiers))
        return
    show = markdown if in_markdown else aligned
    click.echo(show(score_table(results).as_text()), nl=False)
    if len({(each.source, each.target) for each in results}) > 1:
        for way, table in cross_tables(results).items():
            click.echo(f"\nRank-1 / mAP in percent, {way}\n\n{show(table.as_text())}", nl=False)
    if verifiers:
        thresholds = threshold_table(verifiers, "source on target")
        click.echo(f"\n{show(thresholds.as_text())}\n{thresholds.note}")


def _write_page(
    path: str,
    results: Sequence[DomainScores],
    verifiers: Sequence[Verifier],
    sections: Sequence[PictureSection],
    command: str,
) -> None:
    from osnet_edge.bench.report.page import cross_domain_page
    from osnet_edge.runtime.files import write_aside

    with write_aside(path) as partial:
        page = cross_domain_page(results, command=command, verifiers=verifiers, sections=sections)
        partial.write_text(page, encoding="utf-8")
