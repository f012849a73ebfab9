"""`osnet-edge embed`: images to embeddings."""

from __future__ import annotations

import time

import click
import numpy as np

from osnet_edge.cli.options import output_option, threads_option
from osnet_edge.cli.paths import IMAGES, PACKAGE
from osnet_edge.cli.progress import bar, load_package
from osnet_edge.cli.replacing import EMBEDDINGS_NPZ
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.files import write_aside


@click.command()
@click.argument("package", type=PACKAGE)
@click.argument("images", nargs=-1, required=True, type=IMAGES)
@output_option("npz file", EMBEDDINGS_NPZ)
@threads_option
def embed(package: str, images: tuple[str, ...], output: str, threads: int | None) -> None:
    """Embed IMAGES (files or folders) with an engine PACKAGE.

    The npz holds `embeddings`, float32 with a row of length 1 for each image, and `paths`, in the same
    order. A row has 512 numbers, unless the network was made for others.

    \b
    Example:
      osnet-edge embed osnet-cpu crops/ -o embeddings.npz
    """
    from osnet_edge.runtime.embed_files import embed_files
    from osnet_edge.runtime.pictures import find_pictures

    if not output.endswith(".npz"):
        raise InputError(f"expected an output file ending in .npz, got {output}")
    paths = find_pictures(list(images))
    embedder = load_package(package, threads)
    batch = embedder.manifest.batch.opt
    started = time.monotonic()
    with write_aside(output) as partial:
        with bar("embedding", len(paths)) as advance:
            embeddings = embed_files(embedder, paths, batch=batch, progress=advance)
        np.savez(partial, embeddings=embeddings, paths=np.array([str(path) for path in paths]))
    seconds = time.monotonic() - started
    click.echo(
        f"{output}: {counted(len(paths), 'embedding')} in {seconds:.2f} s, "
        f"{len(paths) / seconds:.0f} images a second"
    )
