"""What a tuner tries: a rewrite of the network, a library, a precision and its builder's options."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from osnet_edge.engines.backends.tensorrt.options import DEFAULTS, BuilderOptions
from osnet_edge.engines.targets import PRECISIONS, CpuBackend
from osnet_edge.runtime.package.manifest import Backend, BatchRange, Precision

#: What rounds: such a candidate is taken only where its loss was measured, or it was asked for by name.
LOSSY: tuple[Precision, ...] = ("fp16", "bf16", "int8")


@dataclass(frozen=True)
class Candidate:
    """One way to run the network.

    Attributes:
        backend: the library.
        precision: of its arithmetic.
        rewrite: passes that its graph was rewritten by; none is the graph as published.
        best: the batch size that it is built for.
        options: of a TensorRT builder.

    Example:
        >>> str(Candidate("openvino", "bf16", ("gate", "sum"), best=8))
        'openvino bf16 gate,sum best=8'
    """

    backend: Backend
    precision: Precision
    rewrite: tuple[str, ...] = ()
    best: int | None = None
    options: BuilderOptions = DEFAULTS

    def __str__(self) -> str:
        """Return its name."""
        numbers = [f"{name}={value}" for name, value in self.numbers.items()]
        return " ".join([self.backend, self.precision, *filter(None, [",".join(self.rewrite)]), *numbers])

    @property
    def numbers(self) -> dict[str, int]:
        """Its options by name, those left at the library's default not among them."""
        best = {} if self.best is None else {"best": self.best}
        return {**best, **self.options.given}

    @property
    def plain(self) -> Candidate:
        """The same with the graph as published: what a rewrite must beat to be worth anything."""
        return replace(self, rewrite=())

    def batch_range(self, batches: Sequence[int]) -> BatchRange:
        """Return the batch sizes of its package, when it is tuned for some."""
        return BatchRange(1, self.best or middle(batches), max(batches))


def cpu_candidates(
    backends: Iterable[CpuBackend],
    precisions: Sequence[Precision],
    rewrites: Sequence[tuple[str, ...]],
    batches: Sequence[int],
) -> tuple[Candidate, ...]:
    """Return a CPU's candidates, the published graph in float32 first.

    OpenVINO is compiled for a best batch and its halves, and larger batches are made up of those: for 32
    pictures four runs of 8 may be faster than one of 32.

    Args:
        backends: libraries.
        precisions: those wanted, of which each library gets those it has.
        rewrites: of the graphs there are, the published one first.
        batches: batch sizes to tune for.
    """
    found = []
    for rewrite in rewrites:
        for backend in backends:
            sizes = best_sizes(batches) if backend == "openvino" else (None,)
            found += [
                Candidate(backend, precision, rewrite, best)
                for precision in precisions
                if precision in PRECISIONS[backend]
                for best in sizes
            ]
    return tuple(found)


def gpu_candidates(
    backend: Backend,
    precisions: Sequence[Precision],
    rewrites: Sequence[tuple[str, ...]],
    batches: Sequence[int],
    *,
    timed: bool,
) -> tuple[Candidate, ...]:
    """Return a GPU's candidates, the published graph first.

    Args:
        backend: one of TensorRT's, or ONNX Runtime with CUDA.
        precisions: those wanted, of those that it has.
        rewrites: of the graphs there are, the published one first.
        batches: batch sizes to tune for.
        timed: whether they will be timed. If not, a batch that the plan is tuned for and an optimisation
            level make no difference that a cost model could see.
    """
    # TensorRT-RTX 1.7 writes the same plan at every level and with every source of tactics.
    levels = (None, 5) if timed and backend == "tensorrt" else (None,)
    auxiliary = (None,) if backend == "onnxruntime_cuda" else (None, 0)
    tuned_for_one = timed and backend != "onnxruntime_cuda"
    sizes: tuple[int | None, ...] = best_sizes(batches) if tuned_for_one else (middle(batches),)
    found = [
        Candidate(backend, precision, rewrite, best, BuilderOptions(level, streams))
        for rewrite in rewrites
        for precision in precisions
        for level in levels
        for streams in auxiliary
        for best in sizes
    ]
    return tuple(found)


def best_sizes(batches: Sequence[int]) -> tuple[int, ...]:
    """Return the batch sizes worth building for: all above 1, or 1 where there is no other."""
    return tuple(sorted({size for size in batches if size > 1})) or (1,)


def middle(batches: Sequence[int]) -> int:
    """Return the median of some batch sizes, the upper one of two.

    Example:
        >>> middle([1, 8, 32])
        8
    """
    return sorted(batches)[len(batches) // 2]


def must_beat(candidate: Candidate, field: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return what a candidate must be faster than, beyond the noise, to be taken.

    That is the reference, and of a rewrite the published graph in the same library, precision and options:
    no rewrite is taken that makes things slower.
    """
    behind = [field[0], candidate.plain]
    return tuple(dict.fromkeys(each for each in behind if each != candidate and each in field))
