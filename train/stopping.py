"""What ends a run early: Ctrl-C, after the current step, and failures of the machine, told in one line."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from osnet_edge.runtime.errors import UnavailableError, first_line


@contextmanager
def deferred_interrupt(tell: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C or SIGTERM arrived; a second one interrupts at once.

    `tell` is called when the first arrives, in its signal handler. Outside of the main thread, where Python
    handles no signals, the function always returns False.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        tell()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn the errors of torch that the machine causes into an `UnavailableError`.

    Raises:
        UnavailableError: memory ran out, a decoding process was killed, or the connection to another process
            broke.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise UnavailableError(
            "the GPU has too little memory for such a batch; --set batches.accumulate=2 computes it in two "
            "parts, or lower batches.size"
        ) from None
    except RuntimeError as error:
        whole = str(error)
        text = first_line(whole).split(". ")[0]
        # Of no type of its own, and at any moment: torch raises it when the system tells of the child's end.
        if whole.startswith("DataLoader worker"):
            raise UnavailableError(
                f"a process that decodes images ended ({text}); lower --workers if memory is short, and go "
                "on with --resume"
            ) from None
        if "DefaultCPUAllocator" in whole:
            raise UnavailableError(
                "there is too little memory for such a batch; --set batches.accumulate=2 computes it in two "
                "parts, or lower batches.size"
            ) from None
        if "gloo" in whole or isinstance(error, torch.distributed.DistError):
            raise UnavailableError(
                f"the connection to another process broke ({text}); see its message, and go on with --resume"
            ) from None
        if "CUDA error" in whole:
            raise UnavailableError(
                f"the GPU failed ({text}); what was saved is good, go on with --resume"
            ) from None
        raise
