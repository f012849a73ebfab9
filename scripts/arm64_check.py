#!/usr/bin/env python3
"""Emulate cameras with ARM processors, and hold the runtime on them to what it should do.

It is evidence, run by hand: no part of the installed package or of `make test`. It needs root, Debian's
mmdebstrap, qemu-user-static and binfmt-support, and the project's own environment (`make installed`). The
whole of it takes hours; how long anything takes under emulation says nothing, and is not printed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from arm64 import viper
from arm64.artefacts import Artefacts, Package, RefusedError, takes_processor
from arm64.camera import CHECKOUT, INSIDE, Camera, CrashedError, Processor
from arm64.findings import Finding, Findings, State
from arm64.fleet import check_updates
from arm64.processors import DEFAULTS, MAIN_IDS
from script_errors import run_script

from osnet_edge.cli.progress import step
from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.train.variants import VARIANTS

_EXAMPLE = """\b
Example:
  .venv/bin/python scripts/arm64_check.py --root /var/tmp/arm64 --json arm64.json
  .venv/bin/python scripts/arm64_check.py --root /var/tmp/arm64 --cpu cortex-a53 --variant osnet_x0_25
"""
#: The network of the frame and of the update: the smallest.
_SMALL = "osnet_x0_25"
#: Modules that a camera imports, each with the library that it needs.
_MODULES = {
    "osnet_edge.runtime": "",
    "onnxruntime": "onnxruntime",
    "PIL.Image": "pillow",
    "openvino": "openvino",
    "tuf.ngclient": "tuf",
    "cv2": "opencv-python-headless",
}
#: Far more than rounding in float32 on another processor (1e-7), far less than a wrong crop (1e-2).
_FRAME_LIMIT = 1e-5
#: Networks that were trained on people, and their files in shared/weights; the first is scored on VIPeR.
_SCORED = "trained_x0_25"
_TRAINED = {
    _SCORED: "osnet_x0_25_msmt17.pth",
    "trained_x0_5": "osnet_x0_5.pth",
    "trained_x1_0": "osnet_x1_0_msmt17_8bit.pth",
}
_CALIBRATION = 512
Build = tuple[Package, Path, Path]


@click.command(epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--root", "folder", required=True, metavar="FOLDER", help="Where everything is kept, 3 GB; used again."
)
@click.option(
    "--cpu",
    "cpus",
    multiple=True,
    type=click.Choice(list(MAIN_IDS)),
    help=f"Processor to emulate, several times for several; default {', '.join(DEFAULTS)}.",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(list(VARIANTS)),
    help="Network to prove, as above; default: all nine.",
)
@click.option(
    "--processor",
    "kinds",
    multiple=True,
    default=("aarch64", "any"),
    show_default=True,
    help="What INT8 is built for, as osnet-edge build takes it; as above.",
)
@click.option(
    "--shared",
    default=str(CHECKOUT.parent / "shared"),
    metavar="FOLDER",
    help="Real weights and images; default: shared beside the checkout.",
)
@click.option("--json", "document", metavar="FILE", help="Write all of it as JSON too.")
def arm64_check(
    folder: str,
    cpus: tuple[str, ...],
    variants: tuple[str, ...],
    kinds: tuple[str, ...],
    shared: str,
    document: str | None,
) -> int:
    """Emulate cameras with ARM processors, and hold the runtime on them to what it should do.

    Packages are built on this machine and run there: golden pairs, boxes of a frame, an update over the
    network, and accuracy on 100 people of VIPeR. Exit code 0 when all that could be checked holds, 1 when
    something is wrong, 2 on bad input. Packages in the folder are used again: after a change to what builds
    them, name another folder or delete its work/packages.
    """
    place = Path(folder).absolute()
    if place == CHECKOUT or CHECKOUT in place.parents:
        raise InputError(f"expected --root outside the checkout, got {folder}; name another folder")
    found, camera = Findings(), Camera(place)
    missing = camera.make()
    found.versions = camera.versions()
    found.add(Finding("", "wheels", name, "not had", why) for name, why in missing.items())
    processors = []
    for name in cpus or DEFAULTS:
        processor, facts = camera.describe(name)
        found.processors[name] = facts
        processors.append(processor)
    artefacts = Artefacts(camera.work)
    real = Path(shared)
    drawn = list(_golden_builds(artefacts, variants or tuple(VARIANTS), kinds))
    trained = list(_real_builds(artefacts, real, kinds))
    if not trained:
        found.add([Finding("", "VIPeR", "trained networks", "not had", f"they are not in {real}")])
    built = dict(_build(artefacts, [*drawn, *trained], found))
    subset = viper.read_subset(real / "data/viper") if trained else None
    scored = [built[each] for each, *_ in trained if each in built and each.network == _SCORED]
    written = [viper.as_written(each, subset) for each in scored if subset]
    found.add(each.finding for each in written)
    for processor in processors:
        backends = set()
        for imported in _imports(camera, processor, missing):
            found.add([imported])
            backends.update([imported.subject] if imported.state == "holds" else [])
        runnable = {package: path for package, path in built.items() if package.backend in backends}
        found.add(_ask_runtime(camera, processor, found.processors[processor.name]))
        found.add(_doctor(camera, processor))
        found.add(_run_packages(camera, processor, artefacts, runnable))
        for each in written:
            if subset and each.package in runnable.values():
                step(f"{processor.name}: VIPeR by {each.package.name}")
                found.add([viper.on_camera(camera, processor, each, subset)])
        if document:
            # After each, since all of them take hours.
            Path(document).write_text(json.dumps(found.document(), indent=2) + "\n", encoding="utf-8")
    click.echo(found.text())
    return found.exit_code


def _packages(network: str, kinds: tuple[str, ...]) -> Iterator[Package]:
    """Yield a network's packages, for both backends."""
    told = kinds if takes_processor() else ("",)
    for target in ("cpu", "openvino"):
        yield Package(network, target, "fp32")
        for kind in told:
            # OpenVINO has INT8 for an ARM with dot products alone.
            exact = "aarch64-dotprod" if (target, kind) == ("openvino", "aarch64") else kind
            yield Package(network, target, "int8", exact)


def _golden_builds(
    artefacts: Artefacts, variants: tuple[str, ...], kinds: tuple[str, ...]
) -> Iterator[Build]:
    """Yield what is to be built of the variants with golden weights, by drawn people."""
    people = artefacts.drawn_people()
    # The smallest is always there, for the frame and the update.
    for variant in dict.fromkeys((_SMALL, *variants)):
        step(f"{variant}: the graph")
        graph = artefacts.golden_graph(variant)
        yield from ((package, graph, people) for package in _packages(variant, kinds))


def _real_builds(artefacts: Artefacts, shared: Path, kinds: tuple[str, ...]) -> Iterator[Build]:
    """Yield what is to be built of the networks that were trained on people, where they are there."""
    people = shared / "data/cuhk03"
    if not (people.exists() and (shared / "data/viper").exists()):
        return
    chosen = artefacts.calibrate(people, artefacts.folder / "cuhk03.json", _CALIBRATION)
    for network, weights in _TRAINED.items():
        if not (shared / "weights" / weights).exists():
            continue
        step(f"{network}: the graph")
        graph = artefacts.export(
            shared / "weights" / weights, artefacts.folder / "graphs" / f"{network}.onnx"
        )
        yield from ((package, graph, chosen) for package in _packages(network, kinds))


def _build(artefacts: Artefacts, wanted: list[Build], found: Findings) -> Iterator[tuple[Package, Path]]:
    """Build packages; one that cannot be built is a finding."""
    for package, graph, calibration in wanted:
        try:
            yield package, artefacts.build(package, graph, calibration)
        except RefusedError as error:
            # Random networks may round otherwise than written by more than a package may: that is a refusal
            # as it should be, and there is nothing to run.
            found.add([Finding("", "osnet-edge build", package.name, "not had", str(error))])
        except CheckError as error:
            found.add([Finding("", "osnet-edge build", package.name, "wrong", str(error))])


def _checked(
    processor: Processor, check: str, subject: str, look: Callable[[], tuple[str, dict[str, float]]]
) -> Finding:
    """Look, and say what came of it; `look` raises CheckError where something is wrong."""
    state: State = "holds"
    figures: dict[str, float] = {}
    try:
        words, figures = look()
    except CheckError as error:
        state, words = "wrong", str(error)
    return Finding(processor.name, check, subject, state, words, figures)


def _imports(camera: Camera, processor: Processor, missing: dict[str, str]) -> Iterator[Finding]:
    """Import what a camera imports, each in a process of its own."""
    for module, library in _MODULES.items():
        parts = (processor.name, "import", module)
        if library in missing:
            yield Finding(*parts, "not had", "no wheel for aarch64, see above")
            continue
        try:
            yield Finding(*parts, "holds", camera.ask(processor, "load", module))
        except CrashedError as error:
            # A library that dies under emulation says nothing of a real processor.
            yield Finding(*parts, "not had", str(error))
        except CheckError as error:
            yield Finding(*parts, "wrong", str(error))


def _ask_runtime(camera: Camera, processor: Processor, facts: dict[str, Any]) -> Iterator[Finding]:
    """Hold what the runtime takes the processor for to its auxiliary vector, and add it to the facts."""

    def look() -> tuple[str, dict[str, float]]:
        said = camera.ask(processor, "kind")
        if not said:
            return "the runtime does not ask", {}
        facts.update(said)
        wanted = "aarch64-dotprod" if "asimddp" in facts["features"] else "aarch64"
        if said["kind"] != wanted:
            raise CheckError(f"expected {wanted}, got {said['kind']} ({', '.join(said['its_features'])})")
        return str(said["kind"]), {}

    yield _checked(processor, "the runtime", "kind of processor", look)

    def precisions() -> tuple[str, dict[str, float]]:
        return ", ".join(camera.ask(processor, "openvino")) or "none", {}

    yield _checked(processor, "the runtime", "OpenVINO's precisions", precisions)


def _doctor(camera: Camera, processor: Processor) -> Iterator[Finding]:
    """Run `osnet-edge doctor`, and keep its first line and what it says of both CPU targets."""
    try:
        said = json.loads(camera.osnet_edge(processor, "doctor", "--json"))
    except CheckError as error:
        yield Finding(processor.name, "osnet-edge doctor", "runs", "wrong", str(error))
        return
    yield Finding(processor.name, "osnet-edge doctor", "cpu", "holds", said["machine"]["cpu"])
    for target in ("cpu", "openvino"):
        state = said["targets"][target]
        words = "; ".join([f"run: {', '.join(state['run']) or 'no'}", *state["problems"]])
        yield Finding(processor.name, "osnet-edge doctor", f"target {target}", "holds", words)


def _run_packages(
    camera: Camera, processor: Processor, artefacts: Artefacts, packages: dict[Package, Path]
) -> Iterator[Finding]:
    """Prove packages, embed the boxes of a frame, and update from one that holds to another."""
    holding = []
    for package, path in packages.items():
        proof = _prove(camera, processor, path)
        yield proof
        if proof.state == "holds" and package.network == _SMALL:
            holding.append(path)
    yield from _frames(camera, processor, artefacts, packages)
    yield from _updates(camera, processor, holding)


def _prove(camera: Camera, processor: Processor, package: Path) -> Finding:
    step(f"{processor.name}: golden pairs of {package.name}")

    def look() -> tuple[str, dict[str, float]]:
        figures = camera.ask(processor, "prove", str(INSIDE / "packages" / package.name))
        return f"{figures['distance']:.1e}", figures

    return _checked(processor, "golden pairs, distance", package.name, look)


def _frames(
    camera: Camera, processor: Processor, artefacts: Artefacts, runnable: dict[Package, Path]
) -> Iterator[Finding]:
    """Embed the boxes of a drawn frame in float32, and compare with this machine."""
    for package, path in runnable.items():
        if package.network != _SMALL or package.precision != "fp32":
            continue
        step(f"{processor.name}: boxes of a frame by {package.name}")

        def look(path: Path = path) -> tuple[str, dict[str, float]]:
            frame = artefacts.frame(path)
            names = (str(INSIDE / "packages" / path.name), str(INSIDE / frame.name))
            said = camera.ask(processor, "boxes", *names)
            if not said["valid"][:-1] == [True] * (len(said["valid"]) - 1) or said["valid"][-1]:
                raise CheckError(f"expected all boxes but the last to be valid, got {said['valid']}")
            if not said["outside_is_nan"]:
                raise CheckError("expected NaN for the box outside the frame, got numbers")
            if not said["distance"] <= _FRAME_LIMIT:
                raise CheckError(f"{said['distance']:.1e} from this machine's, over {_FRAME_LIMIT:.0e}")
            return f"{said['distance']:.1e} from this machine's", {"distance": said["distance"]}

        yield _checked(processor, "embed_boxes", package.name, look)


def _updates(camera: Camera, processor: Processor, packages: list[Path]) -> Iterator[Finding]:
    """Update the camera from one package that holds on it to another."""
    if len(packages) < 2:
        yield Finding(processor.name, "device update", "two releases", "not had", "no two packages hold")
        return
    step(f"{processor.name}: an update over the network")
    try:
        yield from check_updates(camera, processor, packages[0], packages[1])
    except CheckError as error:
        yield Finding(processor.name, "device update", "the whole of it", "wrong", str(error))


if __name__ == "__main__":
    sys.exit(run_script(arm64_check, "arm64_check.py"))
