"""Batches of training images: decoded and augmented in worker processes, normalised on the device.

The augmentation of an image depends only on the seed, the epoch and its place in the epoch's order, and not
on the worker or on earlier images. So a run can resume in the middle of an epoch, with another number of
workers, and an image that comes twice in a batch is augmented differently each time.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from osnet_edge.runtime.errors import InputError, OsnetEdgeError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture, Preprocessing, resize
from osnet_edge.train.augment import augment
from osnet_edge.train.data import Picture as LabelledPicture
from osnet_edge.train.recipe import Augmentation
from osnet_edge.train.sampling import LOOKS_STREAM, Order, places_in

#: An epoch, a place in its order, and the image that stands there.
_Key = tuple[int, int, int]


class TrainingLoader:
    """Batches of training images.

    Args:
        pictures: the training split.
        preprocessing: input size and normalisation, as in the runtime.
        augmentation: probabilities and strengths.
        seed: of the run.
        workers: number of processes that decode; 0 decodes in this process.
    """

    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        preprocessing: Preprocessing,
        augmentation: Augmentation,
        *,
        seed: int,
        workers: int = 0,
    ) -> None:
        self._plan: list[list[_Key]] = []
        self._loader: DataLoader[Any] = DataLoader(
            _Crops(pictures, preprocessing, augmentation, seed),
            # Read when an epoch starts, so that workers live through all epochs.
            batch_sampler=self._plan,
            collate_fn=_stack,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_leave_stopping_to_the_parent,
            pin_memory=torch.cuda.is_available(),
        )

    def epoch(self, epoch: int, order: Order, places: Order | None = None) -> Iterator[Tensor]:
        """Yield a batch, uint8 (N, H, W, 3) RGB, for each row of `order`.

        Args:
            epoch: counted from 0; decides the augmentation.
            order: (steps, N) indices of the images.
            places: (steps, N) their places in the order of the whole epoch, if `order` is a part of it; see
                `places_in`.

        Raises:
            InputError: an image cannot be read.
        """
        places = places_in(order) if places is None else places
        self._plan[:] = [
            [(epoch, place, index) for place, index in zip(*row, strict=True)]
            for row in zip(places.tolist(), order.tolist(), strict=True)
        ]
        with _sigterm_held_back():
            batches = iter(self._loader)
        for batch in batches:
            if isinstance(batch, OsnetEdgeError):
                raise InputError(f"{batch}; osnet-edge data check finds all such files")
            yield batch


def to_input(images: Tensor, preprocessing: Preprocessing, device: torch.device) -> Tensor:
    """Turn uint8 (N, H, W, 3) into normalised float32 (N, 3, H, W) in channels-last memory, on `device`.

    Bytes are copied to the device, and not floats; images are in channels-last order already.
    """
    mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=device).view(1, 3, 1, 1)
    return (
        images.to(device, non_blocking=True).permute(0, 3, 1, 2).float() * preprocessing.scale - mean
    ) / std


class _Crops(Dataset[Any]):
    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        preprocessing: Preprocessing,
        augmentation: Augmentation,
        seed: int,
    ) -> None:
        # Paths alone: a list of objects in a forked worker is copied page by page as its counters change.
        self._paths = [str(picture.path) for picture in pictures]
        self._preprocessing, self._augmentation, self._seed = preprocessing, augmentation, seed

    def __getitem__(self, key: _Key) -> Picture | OsnetEdgeError:
        epoch, place, index = key
        rng = np.random.default_rng([LOOKS_STREAM, self._seed, epoch, place])
        try:
            crop = self._read(index)
            return augment(
                crop, self._augmentation, rng, lambda: self._read(int(rng.integers(len(self._paths))))
            )
        except OsnetEdgeError as error:
            # Raised in a worker it would arrive wrapped in that worker's traceback.
            return error

    def _read(self, index: int) -> Picture:
        return resize(
            read_picture(self._paths[index]),
            self._preprocessing.height,
            self._preprocessing.width,
            self._preprocessing.interpolation,
        )


def _stack(crops: list[Picture | OsnetEdgeError]) -> Tensor | OsnetEdgeError:
    for crop in crops:
        if isinstance(crop, OsnetEdgeError):
            return crop
    return torch.from_numpy(np.stack(crops))  # type: ignore[arg-type]


@contextmanager
def _sigterm_held_back() -> Iterator[None]:
    """Block SIGTERM, also in the processes that the block starts, as long as they live."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_stopping_to_the_parent(worker: int) -> None:
    """Ignore Ctrl-C and SIGTERM, which reach all processes of a group; the parent process ends the workers.

    The parent saves first, and needs batches for its current step. torch ends workers by SIGTERM of its own.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=_end_by_the_parent, daemon=True).start()


def _end_by_the_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
