"""The folder of a training run: the checkpoint, the recipe as it was used, and a record.

One run at a time may use it: a run locks the file .lock, and the system releases the lock when the run ends.

osnet.pth      the trained network
last.ckpt      the state to resume from; also a checkpoint that `export` takes
recipe.toml    the recipe as it was used
run.json       seed, versions, machine, data and the figures of every epoch
events/        the same figures for TensorBoard
bad-batch.json the images of a batch whose loss became NaN or infinite
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

# At the top, so that a library that is missing is said before a run's folder is made.
from tensorboardX import SummaryWriter

from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.files import write_aside, write_json
from osnet_edge.runtime.package.schema import parse_json, to_json
from osnet_edge.train.data import Picture
from osnet_edge.train.machine import Machine
from osnet_edge.train.recipe import Recipe, dump_recipe
from osnet_edge.train.run_state import EpochReport, Origin, RunState

_SCHEMA_VERSION = 1
_LOCK = ".lock"
_RECORD = "run.json"
_MB = 1_000_000


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    root: Path

    @property
    def checkpoint(self) -> Path:
        """The trained network."""
        return self.root / "osnet.pth"

    @property
    def state(self) -> Path:
        """The state to resume from."""
        return self.root / "last.ckpt"

    @property
    def events(self) -> Path:
        """Figures for TensorBoard."""
        return self.root / "events"

    @property
    def bad_batch(self) -> Path:
        """The images of a batch whose loss became NaN or infinite."""
        return self.root / "bad-batch.json"

    @contextmanager
    def held(self, *, resume: bool, room: int = 0) -> Iterator[None]:
        """Create the folder, or check that it has a run to resume, and lock it while the block runs.

        A folder of a run that ended before its first save is used again. If the block fails before its first
        save, the folder is removed.

        Args:
            resume: whether to resume the run in the folder.
            room: number of bytes that the run writes.

        Raises:
            InputError: the folder has a run and `resume` is False, or has none and it is True, or another
                process uses it.
            UnavailableError: the disk has too little space, or became full meanwhile.
        """
        if resume and not self.state.is_file():
            raise InputError(
                f"expected a run to resume in {self.root}, found no {self.state.name} there; "
                "leave out --resume"
            )
        made = not self.root.exists()
        if not resume:
            self._require_unused()
        had = self.state.stat().st_size if resume else 0
        if shutil.disk_usage(self.root.parent if made else self.root).free < room - had:
            raise UnavailableError(self._lack_of(room - had))
        self.root.mkdir(exist_ok=True)
        with _locked(self.root):
            if not resume:
                # Another may have begun since.
                self._require_unused()
            self._sweep()
            try:
                yield
            except BaseException as error:
                if not self.state.exists():
                    self._remove_beginning(folder=made)
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise UnavailableError(self._lack_of(room - had)) from None
                raise

    def _lack_of(self, room: int) -> str:
        there = self.root if self.root.exists() else self.root.parent
        return (
            f"the run needs about {math.ceil(room / _MB)} MB in {self.root}, and "
            f"{shutil.disk_usage(there).free // _MB} MB are free there; make room, or write elsewhere"
        )

    def _remove_beginning(self, *, folder: bool) -> None:
        """Remove the files of a run that never saved, except for its list of a bad batch."""
        self._sweep()
        shutil.rmtree(self.events, ignore_errors=True)
        for name in ("recipe.toml", _RECORD, _LOCK):
            (self.root / name).unlink(missing_ok=True)
        if folder and not any(self.root.iterdir()):
            self.root.rmdir()

    def _require_unused(self) -> None:
        if not self.root.exists():
            if not self.root.parent.is_dir():
                raise InputError(
                    f"the folder {self.root.parent} does not exist; make it first, or write elsewhere"
                )
            return
        if not self.root.is_dir():
            raise InputError(f"{self.root} is already there and no folder; name another output")
        if self.state.exists():
            raise InputError(f"{self.root} is already there; go on with --resume, or name another output")
        names = {path.name for path in self.root.iterdir()}
        if _LOCK in names:
            # What a run leaves that died before its first save; without the lock, it is somebody's own.
            names -= {_LOCK, "recipe.toml", self.events.name, *(path.name for path in self._halves())}
        if rest := sorted(names):
            raise InputError(
                f"{self.root} is already there and holds other things ({rest[0]}); name another output"
            )

    def _halves(self) -> list[Path]:
        """Return the half-written files of a run that was killed."""
        names = ("last.ckpt", "recipe.toml", "run.json", "osnet.pth", "bad-batch.json")
        return [path for name in names for path in self.root.glob(f".{name}.*")]

    def _sweep(self) -> None:
        for path in self._halves():
            shutil.rmtree(path, ignore_errors=True)

    def write_recipe(self, recipe: Recipe) -> None:
        """Write the recipe as it is used."""
        with write_aside(self.root / "recipe.toml") as partial:
            partial.write_text(dump_recipe(recipe), encoding="utf-8")

    def write_record(self, state: RunState, *, finished: bool) -> None:
        """Write the record of the run so far."""
        record = {
            "schema_version": _SCHEMA_VERSION,
            "finished": finished,
            **state.facts,
            "resumed": list(state.resumed),
            "epochs": to_json(state.progress.reports),
        }
        write_json(self.root / _RECORD, record)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other training processes."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with open(folder / _LOCK, "w") as file:
        try:
            # Not flock: the decoding processes would inherit it, and keep it for some seconds after a kill.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # A file system that has no locks must do without.
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise InputError(
                    f"another run is training into {folder}; wait for its end, or name another output"
                ) from None
        yield


def run_facts(
    machine: Machine, pictures: Sequence[Picture], origin: Origin, processes: int
) -> dict[str, Any]:
    """Return the facts that are needed to repeat a run."""
    names = ("osnet-edge", "torch", "numpy", "pillow")
    return {
        "seed": origin.recipe.seed,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
        "machine": {
            "name": platform.machine(),
            "processes": processes,
            "threads": torch.get_num_threads(),
            **to_json(machine),
        },
        "data": {
            "pictures": len(pictures),
            "identities": len({picture.identity for picture in pictures}),
            "cameras": len({picture.camera for picture in pictures}),
            "sha256": origin.data,
        },
    }


def threads_of(folder: Path | str) -> int | None:
    """Return the number of CPU threads that a run began with; None if its record does not say.

    With the same number, a resumed run reaches the same weights bit for bit.
    """
    try:
        text = (Path(folder) / _RECORD).read_bytes()
        threads = parse_json(text, _RECORD, "give --threads")["machine"]["threads"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return threads if isinstance(threads, int) and threads >= 1 else None


def fingerprint(pictures: Sequence[Picture]) -> str:
    """Return a SHA-256 of a list of images: relative paths, file sizes and labels. No file is read."""
    paths = [os.path.abspath(picture.path) for picture in pictures]
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    lines = (
        f"{Path(path).relative_to(root).as_posix()}\t{os.path.getsize(path)}\t{each.identity}\t{each.camera}\n"
        for path, each in zip(paths, pictures, strict=True)
    )
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


class EventLog:
    """Event files of a run, one more each time it resumes.

    Args:
        folder: of the event files.
        first: number of epochs done when the log opens; later epochs in earlier files are hidden.
        write: whether this process writes at all.
    """

    def __init__(self, folder: Path, first: int, *, write: bool) -> None:
        self._writer: Any = None
        if write:
            self._writer = SummaryWriter(str(folder), purge_step=first + 1, flush_secs=10)

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, report: EpochReport) -> None:
        """Add the figures of an epoch."""
        if self._writer is None:
            return
        for name in ("loss", "accuracy", "learning_rate", "images_per_second"):
            self._writer.add_scalar(f"train/{name}", getattr(report, name), report.epoch)
        for data, scores in report.tests.items():
            for name, value in scores.items():
                self._writer.add_scalar(f"{data}/{name}", value, report.epoch)
        self._writer.flush()
