"""The requirements of a package on a device: from its manifest or recipe, and from `publish --for`.

The publisher writes them down, and the device checks them again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from osnet_edge.runtime.backends.registry import BACKENDS, BackendName, backend_named
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.package.recipe import Recipe
from osnet_edge.runtime.precisions import PRECISIONS, Precision
from osnet_edge.runtime.processor import AARCH64, ANY, BF16, PROCESSORS, VNNI, narrower
from osnet_edge.ship.device.config import check_name

#: How `--for` names libraries.
_LIBRARIES = "|".join(dict.fromkeys(backend.abbreviation for backend in BACKENDS.values()))
_MACHINES = ("x86_64", "armv7l", *(name for name in PROCESSORS if name != ANY))
SPELLING = (
    "device models, and of trt-10.3, rtx-1.7, ort-1.20, openvino-2025, litert-2.3 one, sm87, mem-4g, "
    "aarch64, x86-64-vnni"
)
#: What nobody calls a device, and somebody may well write for a requirement: a library, a compute capability
#: or memory with or without a number, a bare number, or a processor as other tools call it.
_LIKE_A_REQUIREMENT = re.compile(
    r"(trt|tensor-?rt|rtx|ort|onnx(-?runtime)?|openvino|ov|litert|tflite"
    r"|cuda|sm|cc|compute|mem|memory|ram|gpu|cpu)"
    r"[-_.:=]*v?[\d.]*[kmg]?i?b?"
    r"|v?[\d.]+[kmg]?i?b?"
    r"|(x86|x64|amd64|i[3-6]86|arm|arm64|armhf|armv[5-9]|vnni|avx2?|avx512|bf16)([-_].*)?|x86_64.+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Requirements:
    """What a device must have to install a package; an empty field requires nothing.

    Attributes:
        backend: the library that runs the engine, or builds and runs it.
        backend_version: leading part of its version that must agree: `10.3` accepts 10.3.0.30.
        models: device models, of which one must match.
        machine: the processor: an instruction set as in `platform.machine()`, or a kind of
            `osnet_edge.runtime.processor.PROCESSORS`. An agent older than these kinds takes them for another
            machine, and refuses the package.
        compute_capabilities: CUDA compute capabilities, of which one must match.
        memory_mb: least memory of the device, in megabytes (10^6 bytes).
    """

    backend: BackendName
    backend_version: str = ""
    models: tuple[str, ...] = ()
    machine: str = ""
    compute_capabilities: tuple[str, ...] = ()
    memory_mb: int = 0


def requirements_of(manifest: Manifest) -> Requirements:
    """Return the requirements in a package's manifest.

    A TensorRT plan runs only with the version that built it, on the same kind of machine and GPU. A graph for
    CPUs runs in float32 on any of them, and in INT8 and bf16 on the kind of processor that it was built for.
    """
    target = manifest.target
    cuda = target.device == "cuda"
    # Packages from before processors were written down have weights of 8 bits.
    before = VNNI if target.machine in ("x86_64", "AMD64") else AARCH64
    processor = processor_needed(manifest.precision, target.processor or before)
    return Requirements(
        backend=target.backend,
        backend_version=target.backend_version if target.exact_version else "",
        machine=target.machine if cuda else processor,
        compute_capabilities=target.compute_capabilities if cuda else (),
    )


def requirements_of_recipe(recipe: Recipe) -> Requirements:
    """Return the requirements on a device that builds a recipe."""
    machine = processor_needed(recipe.precision, recipe.processor) if recipe.processor else ""
    return Requirements(recipe.backend, machine=machine, compute_capabilities=recipe.capabilities)


def processor_needed(precision: Precision, processor: str) -> str:
    """Return the kind of processor that a CPU engine needs; empty if it runs on any.

    Args:
        precision: of the engine, such as `int8`.
        processor: the kind that it was built for.
    """
    if not PRECISIONS[precision].by_processor or processor == ANY:
        return ""
    # INT8 that was built where there is bf16 has float32 around it where there is none.
    return VNNI if (precision, processor) == ("int8", BF16) else processor


def narrow(needs: Requirements, text: str) -> Requirements:
    """Add the requirements of `publish --for` to those of the manifest.

    Args:
        needs: the manifest's requirements.
        text: names, separated by commas.

    Raises:
        InputError: a name has an unknown form, or contradicts the manifest.

    Example:
        >>> narrow(Requirements("tensorrt"), "jetson-orin-nano,trt-10.3").models
        ('jetson-orin-nano',)
    """
    models: list[str] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        if version := re.fullmatch(rf"({_LIBRARIES})-(\d+(?:\.\d+)*)", word):
            needs = _narrow_version(needs, version[1], version[2])
        elif generation := re.fullmatch(r"sm_?(\d{1,2})(\d)", word):
            needs = _narrow_capability(needs, f"{generation[1]}.{generation[2]}")
        elif memory := re.fullmatch(r"mem-(\d{1,6})([gm])", word):
            needs = replace(needs, memory_mb=int(memory[1]) * (1000 if memory[2] == "g" else 1))
        elif word in _MACHINES:
            machine = narrower(needs.machine, word)
            if machine is None:
                raise InputError(f"the package was built for {needs.machine}, and --for says {word}")
            needs = replace(needs, machine=machine)
        elif re.fullmatch("any|(x86-64|aarch64).*", word):
            raise InputError(f"expected of processors {', '.join(_MACHINES)}, got {word!r}")
        elif _LIKE_A_REQUIREMENT.fullmatch(word):
            raise InputError(
                f"--for says {word!r}, which looks like a requirement but is none that is known, so that no "
                f"device would match; expected {SPELLING}"
            )
        else:
            models.append(check_name("device model", word))
    return replace(needs, models=tuple(dict.fromkeys(models)))


def _narrow_version(needs: Requirements, library: str, version: str) -> Requirements:
    if library != backend_named(needs.backend).abbreviation:
        raise InputError(f"the package is for {needs.backend}, and --for says {library}; expected {SPELLING}")
    known = needs.backend_version
    if known and not f"{known}.".startswith(f"{version}."):
        raise InputError(
            f"the package runs on {needs.backend} {known} alone, and --for says {version}; build it there"
        )
    return needs if known else replace(needs, backend_version=version)


def _narrow_capability(needs: Requirements, capability: str) -> Requirements:
    known = needs.compute_capabilities
    if known and capability not in known:
        raise InputError(
            f"the package was built for compute capability {', '.join(known)}, --for says {capability}"
        )
    return replace(needs, compute_capabilities=(capability,))
