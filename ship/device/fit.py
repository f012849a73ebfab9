"""What a package's own manifest asks of a device: the publisher states it, and the device checks it again."""

from __future__ import annotations

from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.package.recipe import Recipe
from osnet_edge.runtime.precisions import PRECISIONS, Precision
from osnet_edge.runtime.processor import AARCH64, ANY, BF16, VNNI
from osnet_edge.ship.channel import Needs


def needs_of(manifest: Manifest) -> Needs:
    """Return what a package needs by its manifest.

    A plan runs on the exact version that built it, on the same kind of machine and GPU; a graph for a CPU on
    any of them in float32, and in INT8 and bf16 on the kind of processor that it was built for.
    """
    target = manifest.target
    cuda = target.device == "cuda"
    # Packages from before processors were written down have weights of 8 bits.
    before = VNNI if target.machine in ("x86_64", "AMD64") else AARCH64
    processor = processor_needed(manifest.precision, target.processor or before)
    return Needs(
        backend=target.backend,
        backend_version=target.backend_version if target.exact_version else "",
        machine=target.machine if cuda else processor,
        compute_capabilities=target.compute_capabilities if cuda else (),
    )


def needs_of_recipe(recipe: Recipe) -> Needs:
    """Return what a device must be to build a recipe."""
    machine = processor_needed(recipe.precision, recipe.processor) if recipe.processor else ""
    return Needs(recipe.backend, machine=machine, compute_capabilities=recipe.capabilities)


def processor_needed(precision: Precision, processor: str) -> str:
    """Return the kind of processor that a CPU's engine needs; empty where any will do.

    Args:
        precision: of the engine.
        processor: the kind that it was built for.
    """
    if not PRECISIONS[precision].by_processor or processor == ANY:
        return ""
    # INT8 that was built where there is bf16 has float32 around it where there is none.
    return VNNI if (precision, processor) == ("int8", BF16) else processor
