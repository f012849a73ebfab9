"""Run every command of docs/SHIP.md as it is written, in order, on one machine.

The machines of the document are Linux namespaces, with real sshd, rsync and nginx. What cannot be run as it
is written is in tables, with its reason; whatever else is indented there and is no command ends this script.
Exit code 1 says that a command failed, did not print what the document shows, or did not do what it says.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import click
from documented import ROOT, Step, blocks, not_as_shown, prepare, steps
from one_machine import Network, enter_namespaces, unit_commands

DOCUMENT = ROOT / "docs/SHIP.md"
#: The machine of each prompt: those of people are one workstation, whose files the document hands round.
WORKSTATION, WEB = "workstation", "web"
MACHINES = {
    **dict.fromkeys(("", "laptop", "alice", "bob", "carol", "anyone"), WORKSTATION),
    "cam-1": "cam-1",
    "cam-7": "cam-7",
}
WEB_NAME = "engines.example.com"
#: What README's tour leaves for this document.
MADE_BEFORE = ("-o osnet.onnx", "-o osnet-cpu", "--json result.json", "-o calib.json")
#: Given by the script, with what gives it in the field.
GIVEN = {
    "OSNET_EDGE_KEY_PASSPHRASE": "a person types the passphrase of a key, and here nobody does",
    "ONLINE_KEY": "a CI keeps it; here it is the text of online.key",
    "SSL_CERT_FILE": "a public authority signs the web server's certificate; here the script does",
    "1.root.json": "it is in the camera's system image; here it is copied",
    "frames": "they come from a camera; here they are grey",
}
#: How indented text begins that is no command: nginx's rules, which its server gets, and a drawing.
USED = ("location ", "workstation  ")
SERVICE = "/etc/systemd/system/osnet-edge-update.service"


class Document:
    """A run through the document.

    Args:
        network: of its machines.
    """

    def __init__(self, network: Network) -> None:
        self.network, self.failed = network, False
        self._given = {"OSNET_EDGE_KEY_PASSPHRASE": "not much of one"}
        self._copying: list[Step] = []
        #: What is done in place of a command, and why.
        self._instead: dict[str, tuple[str, Callable[[Step], None]]] = {
            "sudo .venv/bin/python scripts/booted_camera.py": ("it takes an hour", lambda step: None),
            "pip install": ("no registry is asked, and what it installs is here", lambda step: None),
            "systemctl enable --now osnet-edge-update.timer": (
                "no systemd runs in here: the units are verified, and what the service runs is run",
                lambda step: self.run_service(step.host),
            ),
        }

    def do(self, step: Step) -> None:
        """Run a step, or what is done in its place."""
        for begin, (reason, instead) in self._instead.items():
            if step.typed.startswith(begin):
                click.echo(f"instead  {step.host}$ {step.typed}\n         {reason}")
                instead(step)
                return
        if "env:ONLINE_KEY" in step.typed:
            self._given["ONLINE_KEY"] = (self.network.home(WORKSTATION) / "online.key").read_text()
        if step.typed.startswith("rsync "):
            self._copying.append(step)
        if "--root 1.root.json" in step.typed:
            # The document has it copied again after whatever is written.
            self.copy_again()
            root = self.network.home(WORKSTATION) / "fleet/metadata/1.root.json"
            (self.network.home(step.host) / root.name).write_bytes(root.read_bytes())
        self._run(step)

    def copy_again(self) -> None:
        """Copy the repository to the web server by the document's own commands."""
        for step in dict.fromkeys(self._copying):
            self._run(step)

    def run_service(self, machine: str) -> None:
        """Verify a camera's units, and run what the service would."""
        self._run(Step(f"systemd-analyze verify {SERVICE} {SERVICE[:-8]}.timer", host=machine))
        unit = (self.network.scratch / machine / "units" / Path(SERVICE).name).read_text()
        folders = unit_commands(unit, ["RuntimeDirectory"])
        self._run(Step(f"mkdir -p {' '.join(f'/run/{each}' for each in folders)}", host=machine))
        for command in unit_commands(unit, ["ExecStartPre", "ExecStart", "ExecStopPost"]):
            self._run(Step(command.lstrip("+-!@:"), host=machine))

    def follow(self, program: str, machine: str) -> subprocess.Popen[bytes]:
        """Start the document's program on a camera; it is started again while there is no engine yet."""
        frames = (
            "import itertools, numpy, time\n"
            "frames = ((time.sleep(0.1) or numpy.full((240, 320, 3), 90, numpy.uint8), [[9, 9, 99, 199]])\n"
            "          for _ in itertools.count())\n"
        )
        (self.network.home(machine) / "follow.py").write_text(frames + program)
        return self.network.start(machine, f"until {sys.executable} follow.py 2>follow.log; do sleep 1; done")

    def release_of(self, machine: str) -> str:
        """Return what serves on a camera."""
        ran = self.network.run(machine, "osnet-edge device status")
        return str(json.loads(ran.stdout)["release"])

    def expect(self, what: str, got: object, expected: object) -> None:
        """Hold an outcome to what the document says."""
        held = got == expected
        self.failed |= not held
        click.echo(
            f"{'holds' if held else 'FAILED':8} {what}: {got!r}" + ("" if held else f", not {expected!r}")
        )

    def _run(self, step: Step) -> None:
        started = time.monotonic()
        ran = self.network.run(MACHINES[step.host], step.typed, **self._given)
        problem = not_as_shown(ran.stdout, step.shown)
        click.echo(f"{time.monotonic() - started:5.1f} s  exit {ran.returncode}  {step.host}$ {step.typed}")
        if ran.returncode:
            click.echo(
                textwrap.indent("\n".join((ran.stdout + ran.stderr).strip().splitlines()[-5:]), " " * 9)
            )
        elif problem is not None:
            click.echo(f"         not as shown: {problem}; got:\n{ran.stdout}")
        self.failed |= bool(ran.returncode) or problem is not None

    def give_certificate(self, file: Path) -> None:
        """Let cameras trust the web server."""
        self._given["SSL_CERT_FILE"] = str(file)


def refuse_unknown(text: str) -> None:
    """Hold all that is indented in a document to what this script runs or uses.

    Raises:
        ValueError: something would be passed over.
    """
    for block in blocks(text):
        if isinstance(block, str):
            if not block.startswith(USED):
                raise ValueError(f"expected commands, or what this script knows; found:\n{block}")
        elif unknown := {step.host for step in block} - set(MACHINES):
            raise ValueError(f"expected commands of {', '.join(MACHINES)}; found {', '.join(unknown)}")


def main_on(scratch: Path, weights: Path, data: Path) -> bool:
    """Run the document in a folder; return whether all held."""
    names = dict.fromkeys(MACHINES.values(), ()) | {WEB: (WEB_NAME,)}
    prepare(scratch / WORKSTATION / "home", weights, data)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "OSNET_EDGE_DATA": str(data.resolve()), "PATH": path}
    network = Network(scratch, names, environment)
    document = Document(network)
    for name, reason in GIVEN.items():
        click.echo(f"given    {name}: {reason}")
    for step in steps((ROOT / "README.md").read_text(encoding="utf-8")):
        if any(made in step.typed for made in MADE_BEFORE):
            document.do(step)
    text = DOCUMENT.read_text(encoding="utf-8")
    rules = "\n".join(re.findall(r"^ {4}(location .*)$", text, re.MULTILINE))
    document.give_certificate(network.serve(WEB, "/srv/fleet", WEB_NAME, rules))
    for step in steps(text):
        if step.is_python:
            document.expect("the program follows", _runs(document.follow(step.typed, "cam-1")), True)
            document.follow(step.typed, "cam-7")
        else:
            document.do(step)
    document.expect("cam-1 serves what was shipped to it", document.release_of("cam-1"), "osnet-cpu")
    document.expect("cam-7 serves the release in its ring", document.release_of("cam-7"), "2026.11")
    document.copy_again()
    document.run_service("cam-7")
    document.expect("cam-7 goes back after the recall", document.release_of("cam-7"), "2026.10")
    return not document.failed


def _runs(program: subprocess.Popen[bytes]) -> bool:
    time.sleep(5)
    return program.poll() is None


@click.command()
@click.option("--weights", required=True, help="Folder with osnet_x0_25_msmt17.pth.")
@click.option("--data", required=True, help="Folder with the sets viper and cuhk03.")
def main(weights: str, data: str) -> None:
    """Run docs/SHIP.md in a scratch folder; needs root, nginx, sshd and rsync.

    \b
    Example:
      sudo .venv/bin/python scripts/run_ship.py --weights weights --data data
    """
    refuse_unknown(DOCUMENT.read_text(encoding="utf-8"))
    enter_namespaces()
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(not main_on(Path(scratch), Path(weights), Path(data)))


if __name__ == "__main__":
    main()
