"""BoxMOT's own re-ID backend on its own ONNX export, called as a tracker of it does.

BoxMOT is under the AGPL and no part of this project: it is measured where a user has installed it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from osnet_edge.bench.measure.runners import Boxes, Runner, RunnerFacts
from osnet_edge.bench.result.machine import version_of
from osnet_edge.runtime.errors import UnavailableError
from osnet_edge.runtime.preprocessing import Picture


class BoxMotRunner(Runner):
    """What BoxMOT exports of a checkpoint, simplified and with a free batch size, opened by BoxMOT.

    Args:
        weights: plain float32 checkpoint.
        variant: the network; BoxMOT takes it from the file's name.
        threads: of ONNX Runtime and torch, which BoxMOT leaves at their defaults.

    Raises:
        UnavailableError: it is not installed, or not as it was when this was written (25.0).
    """

    def __init__(self, weights: str, variant: str, threads: int) -> None:
        _hold_to(threads)
        try:
            from boxmot.reid.core.runtime import ReID
            from boxmot.reid.exporters.config import build_export_namespace
            from boxmot.reid.exporters.workflow import export_reid
            from boxmot.utils.checks import RequirementsChecker
        except ImportError as error:
            raise UnavailableError(f"BoxMOT is not installed, or lacks {error.name}") from None
        # BoxMOT runs pip where versions are not those that it pins, and pip then replaces torch.
        RequirementsChecker.check_packages = RequirementsChecker.sync_extra = _install_nothing
        # The session reads the file whole.
        with tempfile.TemporaryDirectory(prefix="osnet-edge-boxmot-", ignore_cleanup_errors=True) as folder:
            named = Path(shutil.copy(weights, Path(folder) / f"{variant}.pt"))
            options = {"weights": str(named), "dynamic": True, "simplify": True, "include": ("onnx",)}
            exported = Path(export_reid(build_export_namespace(options)).files["onnx"])
            started = time.perf_counter()
            self._model: Any = ReID(exported, device="cpu").model
            seconds = time.perf_counter() - started
            size = exported.stat().st_size
        super().__init__(
            RunnerFacts(
                variant=variant,
                precision="fp32",
                target="BoxMOT's ONNX backend",
                size_bytes=size,
                package_bytes=None,
                load_seconds=seconds,
                versions={"boxmot": version_of("boxmot")},
            )
        )

    def embed_frame(self, frame: Picture, boxes: Boxes) -> Any:
        """Embed the boxes of a frame as a tracker asks for it."""
        return self._model.get_features(boxes.astype(np.float32), frame)

    def embed(self, crops: list[Picture]) -> Any:
        """Embed each crop as a frame with one box, all of it."""
        whole = [np.array([[0, 0, crop.shape[1], crop.shape[0]]], np.float64) for crop in crops]
        frames = [np.ascontiguousarray(crop[..., ::-1]) for crop in crops]
        return np.concatenate([self.embed_frame(*pair) for pair in zip(frames, whole, strict=True)])


def _install_nothing(*given: Any, **options: Any) -> None:
    """Stand in for what would install packages."""


def _hold_to(threads: int) -> None:
    """Make sessions that others open in this process use so many threads; torch takes OMP_NUM_THREADS."""
    import onnxruntime

    class Options(onnxruntime.SessionOptions):  # type: ignore[misc]
        """ONNX Runtime's options with the number of threads set."""

        def __init__(self) -> None:
            super().__init__()
            self.intra_op_num_threads = threads

    onnxruntime.SessionOptions = Options
