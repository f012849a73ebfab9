"""The camera: Debian for arm64 in a folder, with the project's wheel, run by QEMU process by process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arm64.processors import describe, feature_names
from osnet_edge.cli.progress import step
from osnet_edge.runtime.errors import CheckError, UnavailableError
from osnet_edge.runtime.files import sha256_of

CHECKOUT = Path(__file__).parents[2]
_SUITE, _PYTHON = "bookworm", "3.11"
_INTERPRETER = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
#: Where the root's Python looks for what is installed by hand, and where it finds our files.
_SITE = Path("usr/local/lib/python3.11/dist-packages")
INSIDE = Path("/check")
#: Without the first a camera has nothing; each of the others may be missing from a root of its own.
_NEEDED = ("numpy", "click", "onnxruntime", "pillow")
_OPTIONAL = ("openvino", "tuf", "opencv-python-headless")
#: glibc's versions that wheels name; Debian 12 has 2.36.
_TAGS = [f"manylinux_2_{minor}_aarch64" for minor in (36, 35, 34, 31, 28, 27, 17)] + ["manylinux2014_aarch64"]
#: Emulation is slow; what takes longer than this hangs.
_LIMIT_S = 3600
#: A private view of the mounts, so that nothing is left behind: the root's own /proc, the processor's
#: description over the host's, our folder, and images that nobody can write to.
_ENTER = """
set -e
root=$1 work=$2 cpuinfo=$3 pictures=$4
shift 4
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mkdir -p "$root/check"
mount --bind "$work" "$root/check"
[ -z "$cpuinfo" ] || mount --bind "$cpuinfo" "$root/proc/cpuinfo"
if [ -n "$pictures" ]; then
  mkdir -p "$root/check/pictures"
  mount --bind "$pictures" "$root/check/pictures"
  mount -o remount,bind,ro "$root/check/pictures"
fi
exec chroot "$root" "$@"
"""


class CrashedError(CheckError):
    """A process that a signal ended, under emulation."""


@dataclass(frozen=True)
class Processor:
    """An emulated processor, and the file that is /proc/cpuinfo for it."""

    name: str
    cpuinfo: str = ""


class Camera:
    """An arm64 root in a folder.

    Args:
        folder: of everything; what is in it is kept and used again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "debian"
        #: What the root sees as `/check`.
        self.work = folder / "work"

    def make(self) -> dict[str, str]:
        """Make the root, or take the one that is there, and install the project into it as it is now.

        Returns:
            Why a library cannot be had, by its name.

        Raises:
            UnavailableError: this machine cannot emulate, or what a camera needs cannot be had.
        """
        _require_emulation()
        self.work.mkdir(parents=True, exist_ok=True)
        if not (self.root / "usr/bin/python3").exists() or not (self.folder / "debian.made").exists():
            step(f"making a root of Debian {_SUITE} for arm64, which takes minutes")
            shutil.rmtree(self.root, ignore_errors=True)
            self._bootstrap()
            (self.folder / "debian.made").touch()
        step("fetching wheels for aarch64")
        missing = self._fetch()
        step("installing them, and the project")
        self._install()
        shutil.copy(Path(__file__).with_name("inside.py"), self.work / "inside.py")
        return missing

    def describe(self, name: str) -> tuple[Processor, dict[str, Any]]:
        """Ask an emulated processor what it can do, and describe it to the root as Linux would.

        Returns:
            The processor, and what it said.
        """
        facts = self.ask(Processor(name), "hwcap")
        facts["features"] = feature_names(facts["hwcap"], facts["hwcap2"])
        file = self.folder / f"cpuinfo-{name}"
        file.write_text(describe(name, facts["features"], os.cpu_count() or 1), encoding="utf-8")
        return Processor(name, str(file)), facts

    def ask(self, processor: Processor, *words: str, pictures: str = "") -> Any:
        """Run a verb of `inside.py` in the root.

        Returns:
            What it answered.

        Raises:
            CrashedError: a signal ended it, or it did not end.
            CheckError: it failed; the message is the last line that it said.
        """
        said = self.run(processor, ["python3", f"{INSIDE}/inside.py", *words], pictures=pictures)
        try:
            return json.loads(said.splitlines()[-1])
        except (ValueError, IndexError):
            raise CheckError(f"expected an answer in JSON, got {said[-200:]!r}") from None

    def run(self, processor: Processor, command: Sequence[str], *, pictures: str = "") -> str:
        """Run a command in the root, on a processor; return what it printed. Raises as `ask` does."""
        mounted = (str(self.root), str(self.work), processor.cpuinfo, pictures)
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh", *mounted]
        places = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
        try:
            ran = subprocess.run(  # noqa: S603 - our own command, in a root of our own
                [*enter, *command],
                env={**places, "QEMU_CPU": processor.name},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CrashedError(f"did not end within {_LIMIT_S} s under emulation") from None
        if ran.returncode == 0:
            return ran.stdout
        # QEMU ends itself by the signal that the process would have had.
        raise (CrashedError if ran.returncode < 0 else CheckError)(_why(ran))

    def osnet_edge(self, processor: Processor, *words: str) -> str:
        """Run the command line in the root; return what it printed. Raises as `ask` does."""
        return self.run(processor, ["python3", "-m", "osnet_edge.cli.main", *words])

    def versions(self) -> dict[str, str]:
        """Return the versions of what is installed in the root, by name."""
        found = (each.stem.split("-") for each in (self.root / _SITE).glob("*.dist-info"))
        return {name: version.removesuffix(".dist") for name, version, *_ in sorted(found)}

    def _bootstrap(self) -> None:
        # Without a merged /usr from the start, Debian would convert it under emulation, for many minutes.
        options = ["--architectures=arm64", "--variant=minbase", "--mode=root", "--quiet"]
        options += ["--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", "--include=usr-is-merged,python3"]
        options += ["--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"']
        options += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
        _host(["mmdebstrap", *options, _SUITE, str(self.root)], "making the root")

    def _fetch(self) -> dict[str, str]:
        """Fetch wheels of the project's versions, once; return why an optional one cannot be had."""
        told = self._wheels / "missing.json"
        if told.exists():
            known: dict[str, str] = json.loads(told.read_text(encoding="utf-8"))
            return known
        self._download(*_NEEDED)
        missing = {}
        for name in _OPTIONAL:
            try:
                self._download(name)
            except UnavailableError as error:
                missing[name] = str(error)
        told.write_text(json.dumps(missing), encoding="utf-8")
        return missing

    @property
    def _wheels(self) -> Path:
        """The folder of wheels, another for other versions."""
        return self.folder / f"wheels-{sha256_of(CHECKOUT / 'constraints.txt')[:8]}"

    def _download(self, *names: str) -> None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        options = ["-c", str(CHECKOUT / "constraints.txt"), "-d", str(self._wheels)]
        _host([*pip, *self._for_arm(), *options, *names], f"fetching {', '.join(names)}")

    def _install(self) -> None:
        own = self.folder / "own"
        shutil.rmtree(own, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        built = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(own), str(CHECKOUT)]
        _host([*pip, *built], "building the project's wheel")
        site = self.root / _SITE
        # Anew each time: what an older wheel brought must not serve.
        shutil.rmtree(site, ignore_errors=True)
        wheels = [str(each) for place in (self._wheels, own) for each in place.glob("*.whl")]
        into = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
        _host([*pip, *into, *self._for_arm(), *wheels], "installing wheels into the root")

    @staticmethod
    def _for_arm() -> list[str]:
        tags = [f"--platform={tag}" for tag in _TAGS]
        abis = [f"--abi={abi}" for abi in ("cp311", "abi3", "none")]
        return ["--only-binary=:all:", f"--python-version={_PYTHON}", "--implementation=cp", *tags, *abis]


def _why(ran: subprocess.CompletedProcess[str]) -> str:
    """Return the line that says why a command failed: `device update` says it on standard output."""
    errors, said = ran.stderr.strip().splitlines(), ran.stdout.strip().splitlines()
    told = [each for each in errors if each.startswith(("error: ", "qemu: "))] or said[:1] or errors
    return told[-1].removeprefix("error: ")[:300] if told else f"exit code {ran.returncode}"


def _require_emulation() -> None:
    missing = [each for each in ("mmdebstrap", "unshare", "chroot") if shutil.which(each) is None]
    if missing:
        raise UnavailableError(
            f"this needs {', '.join(missing)}: apt-get install mmdebstrap qemu-user-static"
        )
    if os.geteuid() != 0:
        raise UnavailableError("this needs root, to mount and to change into another root")
    # F: the interpreter is opened when it is registered, so that it need not be in the root.
    if not _INTERPRETER.exists() or "F" not in _INTERPRETER.read_text().split("flags:")[-1].split()[0]:
        raise UnavailableError(
            "this kernel does not run aarch64 programs by QEMU: apt-get install qemu-user-static "
            "binfmt-support; mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc; "
            "update-binfmts --enable qemu-aarch64"
        )


def _host(command: list[str], what: str) -> None:
    """Run a command on this machine.

    Raises:
        UnavailableError: it failed.
    """
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if ran.returncode != 0:
        lines = [line for line in ran.stderr.strip().splitlines() if line.strip()]
        said = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "nothing was said")
        raise UnavailableError(f"{what} failed: {said[:300]}")
