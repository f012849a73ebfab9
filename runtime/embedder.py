"""The one wrapper that every engine runs behind: crops or boxes in, embeddings out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osnet_edge.runtime.backends.base import DeviceEngine, Engine, open_engine
from osnet_edge.runtime.backends.onnxruntime import checked_threads
from osnet_edge.runtime.boxes import check_frame, check_frame_on_gpu, clip_boxes
from osnet_edge.runtime.cuda.arrays import is_on_gpu, on_gpu
from osnet_edge.runtime.errors import CheckError, UnavailableError
from osnet_edge.runtime.first_load import must_be_verified, remember_verified
from osnet_edge.runtime.forks import HelperThreads
from osnet_edge.runtime.package.folder import check_target, follow_path, open_package
from osnet_edge.runtime.package.golden import hold_to_golden, normalize_rows, read_golden
from osnet_edge.runtime.package.manifest import Manifest
from osnet_edge.runtime.precisions import PRECISIONS
from osnet_edge.runtime.preprocessing import Picture, check_crops, check_interpolation, to_batch
from osnet_edge.runtime.processor import ANY, this_processor

Embeddings = NDArray[np.float32]


class BoxEmbeddings(NamedTuple):
    """Embeddings of a frame's boxes, one row a box.

    Attributes:
        embeddings: (N, D) float32; the row of a box that holds no pixel is NaN.
        valid: (N,) bool, false for those boxes.
    """

    embeddings: Embeddings
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Embedder:
    """An engine package, loaded; one may be called from several threads.

    A process may fork after loading it: a fork waits for the calls that other threads have under way, and in
    the child an engine on the CPU answers as in the parent. Two things raise `UnavailableError` in a child,
    and need workers by multiprocessing's spawn: calling one of TensorRT's engines, since CUDA survives no
    fork, and loading one of OpenVINO's where OpenVINO was used before it.

    Attributes:
        manifest: what the package says of itself.
        engine: the backend's engine.
        package: the folder it was loaded from.
        helpers: threads that resize crops, for engines on the CPU that may use several; None resizes in the
            caller's own.

    Example:
        embedder = Embedder.load("osnet-cpu")
        embeddings = embedder(crops)                        # (N, 512), rows of length 1
        embeddings, valid = embedder.embed_boxes(frame, boxes, bgr=True)
    """

    manifest: Manifest
    engine: Engine
    package: Path
    helpers: Executor | None = None

    @classmethod
    def load(cls, package: Path | str, *, threads: int | None = None) -> Embedder:
        """Verify a package and load its engine.

        An INT8 or bf16 engine that was built for another kind of processor runs its golden pairs when it is
        first loaded on this one.

        Args:
            package: folder made by `osnet-edge build`, or a link to one.
            threads: CPU threads a call may use, for engines on the CPU; None chooses.

        Raises:
            InputError: it is no package, a file of it was changed, or it was built for another machine.
            UnavailableError: this machine lacks the library or device that it needs.
            CheckError: it computes something else on this kind of processor than where it was built.
        """
        package = Path(package)
        if package.is_symlink():
            # Followed once: a link that is turned meanwhile must not mix two packages.
            package = follow_path(package)
        manifest = open_package(package)
        check_target(manifest)
        check_interpolation(manifest.preprocessing.interpolation)
        engine = open_engine(package / manifest.model_file, manifest, threads)
        # As many as the engine has, which does nothing while crops are resized.
        count = checked_threads(threads)
        helpers = HelperThreads(count, "osnet-edge-resize") if count > 1 else None
        embedder = cls(manifest, engine, package, helpers)
        if must_be_verified(package, manifest):
            embedder.prove()
            remember_verified(package, manifest)
        return embedder

    @property
    def threshold(self) -> float | None:
        """The cosine from which on two embeddings show one person; None where the package names none.

        `manifest.threshold` says at which false accept rate, and on which set it was measured.
        """
        return self.manifest.threshold.cosine if self.manifest.threshold else None

    def __call__(self, crops: object, *, bgr: bool = False, l2_normalize: bool = True) -> Embeddings:
        """Embed crops.

        Args:
            crops: a list of H x W x 3 uint8 arrays of any sizes or of PIL images, or one array (N, H, W, 3);
                RGB. For engines on a GPU they may lie in its memory, as arrays of torch, CuPy or
                another library with `__dlpack__` or `__cuda_array_interface__`.
            bgr: whether they are blue-green-red instead, as OpenCV reads images.
            l2_normalize: whether rows get length 1, so that a dot product is the cosine similarity.

        Returns:
            (N, D) float32, in the order of the crops; (0, D) for no crops.

        Raises:
            InputError: a crop is no such array, or holds no pixel.
            UnavailableError: crops are in a GPU's memory, and this engine cannot take them from there.
        """
        if crops_on_gpu := on_gpu(crops):
            embeddings = self._device_engine().infer_crops(crops_on_gpu, bgr=bgr)
        else:
            embeddings = self.infer_crops(check_crops(crops, bgr=bgr), bgr=bgr)
        return normalize_rows(embeddings) if l2_normalize else embeddings

    def embed_boxes(
        self, frame: object, boxes: ArrayLike, *, bgr: bool = False, l2_normalize: bool = True
    ) -> BoxEmbeddings:
        """Embed the people in a frame.

        Args:
            frame: H x W x 3 uint8, RGB; for engines on a GPU it may lie in its memory, as crops may.
            boxes: (N, 4) of x1, y1, x2, y2 in pixels, the last two exclusive; they are clipped to the frame.
                Tensors of torch and CuPy are taken too.
            bgr: whether the frame is blue-green-red.
            l2_normalize: as for crops.

        Returns:
            Embeddings (N, D) and a mask (N,): a box without a pixel in the frame, or with a number that is
            not finite, is false there, and NaN.

        Raises:
            InputError: the frame is no such array, or the boxes are not numbers (N, 4) of pixels.
            UnavailableError: it is in a GPU's memory, and this engine cannot take it from there.
        """
        height, width, _ = check_frame_on_gpu(frame) if is_on_gpu(frame) else check_frame(frame).shape
        clipped, valid = clip_boxes(boxes, height, width)
        embeddings = np.full((len(clipped), self.manifest.model.embedding_size), np.nan, np.float32)
        if valid.any():
            rows = self._infer_boxes(frame, clipped[valid], bgr)
            embeddings[valid] = normalize_rows(rows) if l2_normalize else rows
        return BoxEmbeddings(embeddings, valid)

    def _infer_boxes(self, frame: object, boxes: NDArray[np.intp], bgr: bool) -> Embeddings:
        """Run boxes that each hold a pixel of a checked frame, cut on the GPU where the engine can."""
        if isinstance(self.engine, DeviceEngine) and not self.engine.crops_problem:
            return self.engine.infer_boxes(frame, boxes, bgr=bgr)
        if is_on_gpu(frame):
            self._device_engine()
        picture = check_frame(frame)
        return self.infer_crops([picture[y1:y2, x1:x2] for x1, y1, x2, y2 in boxes], bgr=bgr)

    def _device_engine(self) -> DeviceEngine:
        """Return the engine, if it takes images from a GPU's memory."""
        if not isinstance(self.engine, DeviceEngine):
            raise UnavailableError(
                f"this engine runs by {self.manifest.target.backend}, which takes images from the host's "
                "memory; copy them there, in torch with .cpu().numpy()"
            )
        if self.engine.crops_problem:
            raise UnavailableError(
                f"images cannot be cut on the GPU: {self.engine.crops_problem}; or copy them to the host"
            )
        return self.engine

    def infer_crops(self, crops: Sequence[Picture], *, bgr: bool = False) -> Embeddings:
        """Preprocess and run checked crops in batches, so that memory stays bounded by the largest batch.

        Returns:
            (N, D) float32, as the network gives them; (0, D) for no crops.
        """
        size = self.manifest.batch.max or len(crops) or 1
        parts = [
            self.infer(self.prepare(crops[start : start + size], bgr=bgr))
            for start in range(0, len(crops), size)
        ]
        return np.concatenate(parts) if parts else self._empty()

    def prepare(self, crops: Sequence[Picture], *, bgr: bool = False) -> NDArray[np.generic]:
        """Turn checked crops into the batch that `infer` takes, several at once where threads allow."""
        return to_batch(crops, self.manifest.preprocessing, bgr=bgr, helpers=self.helpers)

    def infer(self, batch: NDArray[np.generic]) -> Embeddings:
        """Run one batch of preprocessed images through the engine, padded to its smallest batch if need be.

        Args:
            batch: (N, *manifest.preprocessing.input_shape), what `to_batch` gives; 1 <= N <= batch.max. For
                engines on a GPU it may lie in its memory, and N is then free.

        Returns:
            (N, D) float32, as the network gives them.

        Raises:
            InputError: the batch has another shape or type.
            UnavailableError: it is in a GPU's memory, and this engine is not.
        """
        if is_on_gpu(batch):
            if self.manifest.target.device != "cuda":
                self._device_engine()
            return self.engine.infer(batch)
        self.manifest.preprocessing.check_batch(batch.shape, batch.dtype)
        missing = self.manifest.batch.min - len(batch)
        if missing <= 0:
            return self.engine.infer(batch)
        return self.engine.infer(np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)]))[:-missing]

    def prove(self) -> float:
        """Run the package's golden pairs.

        Returns:
            The largest mean-centred cosine distance between a row of the engine's and the golden one.

        Raises:
            CheckError: it is over the manifest's limit: this engine does not compute what it should.
        """
        crops, expected = read_golden(self.package, self.manifest)
        try:
            return hold_to_golden(self(crops), expected, self.manifest.golden.max_centred_distance)
        except CheckError as error:
            raise CheckError(f"{self.package}: {error}; {self._advice()}") from error

    def _advice(self) -> str:
        """Return what to do with an engine whose golden pairs do not hold."""
        if not PRECISIONS[self.manifest.precision].rounds:
            return "do not use this engine; build it again"
        target, here = self.manifest.target, this_processor().kind
        if target.device == "cuda" or target.processor in ("", here):
            return "do not use this engine; build it again, or with --precision fp32"
        built_for = "any processor" if target.processor == ANY else target.processor
        return (
            f"it was built for {built_for} and computes something else on this {here}: build it here, or "
            "with --precision fp32"
        )

    def _empty(self) -> Embeddings:
        return np.empty((0, self.manifest.model.embedding_size), np.float32)
