"""`osnet-edge doctor`: what this machine can build and run, and what is missing."""

from __future__ import annotations

import importlib.util

import click

from osnet_edge.cli.options import echo_json, json_flag
from osnet_edge.runtime.counted import counted

#: Import name, distribution, and the job that needs it.
_LIBRARIES = (
    ("onnxruntime", "onnxruntime", "run and build engines for the CPU"),
    ("openvino", "openvino", "run and build engines for the target openvino"),
    ("torch", "torch", "train and export"),
    ("onnx", "onnx", "export and build"),
    ("onnxsim", "onnxsim", "export"),
    ("jinja2", "jinja2", "pages: bench --report, bench merge, eval --pictures"),
    ("cv2", "opencv-python-headless", "resize with opencv-bilinear"),
)


@click.command()
@json_flag
def doctor(as_json: bool) -> None:
    """Show what this machine can build and run, and what is missing.

    \b
    Example:
      osnet-edge doctor
    """
    from osnet_edge.bench.result.machine import machine_facts
    from osnet_edge.runtime.package.schema import to_json
    from osnet_edge.runtime.processor import this_processor

    libraries = {name: _version(name, distribution) for name, distribution, _ in _LIBRARIES}
    targets = _targets(libraries)
    facts, here = machine_facts(), this_processor()
    if as_json:
        processor = {"kind": here.kind, "instruction_sets": here.features}
        document = {"machine": to_json(facts), "processor": processor, "libraries": libraries}
        echo_json({**document, "targets": targets})
        return
    cores = counted(facts.logical_cores, "core")
    click.echo(f"{facts.cpu}, {cores}, {facts.os}, Python {facts.versions['python']}")
    sets = ", ".join(here.features) or "none of those that INT8 and bf16 are made for"
    click.echo(f"processor      {here.kind}: {sets}")
    for name, _, job in _LIBRARIES:
        click.echo(f"  {name:12} {libraries[name] or 'not installed':16} {job}")
    for target, state in targets.items():
        click.echo(f"target {target:9} {_words(state['version'], 'not installed')}")
        click.echo(f"  build: {_words(state['build'])}")
        click.echo(f"  run:   {_words(state['run'])}")
        for problem in state["problems"]:
            click.echo(f"  {problem}")


def _version(name: str, distribution: str) -> str | None:
    if importlib.util.find_spec(name) is None:
        return None
    from osnet_edge.runtime.installed import installed_version

    # The same library may come in another distribution (opencv-python, a vendor's torch).
    return installed_version(distribution) or "installed"


def _targets(libraries: dict[str, str | None]) -> dict[str, dict[str, list[str]]]:
    """Return, for each target, whether it can be built and run here, and what is missing."""
    from osnet_edge.runtime.backends.base import find_support
    from osnet_edge.runtime.backends.registry import BACKENDS

    lacking = [] if libraries["onnx"] else ["onnx, which building needs: pip install 'osnet-edge[build]'"]
    found = {}
    for name, backend in BACKENDS.items():
        support = find_support(name)
        found[backend.target] = {
            "version": [support.version] if support.version else [],
            "build": [] if lacking else [*support.builds],
            "run": [*support.runs],
            "problems": [*support.problems, *(lacking if support.builds else ())],
        }
    return found


def _words(items: list[str], none: str = "no") -> str:
    return ", ".join(items) if items else none
