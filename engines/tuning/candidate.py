"""What a tuner tries: a rewrite of the network, a library, a precision and its builder's options."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from osnet_edge.engines.backends.base import middle
from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.backends.tensorrt.options import DEFAULTS, BuilderOptions
from osnet_edge.runtime.backends.registry import BackendName
from osnet_edge.runtime.package.manifest import BatchRange
from osnet_edge.runtime.precisions import PRECISIONS, Precision


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

    backend: BackendName
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
    def bits(self) -> int:
        """Of its numbers: the fewer, the more it rounds."""
        return 8 * PRECISIONS[self.precision].bytes

    @property
    def quantized(self) -> bool:
        """Whether its graph has Q/DQ, by a calibration set."""
        return PRECISIONS[self.precision].calibrated

    @property
    def rounds(self) -> bool:
        """Whether it rounds: then its loss must be measured, or the user must name it."""
        return PRECISIONS[self.precision].rounds

    @property
    def plain(self) -> Candidate:
        """The same with the graph as published: what a rewrite must beat to be worth anything."""
        return replace(self, rewrite=())

    def batch_range(self, batches: Sequence[int]) -> BatchRange:
        """Return the batch sizes of its package, when it is tuned for some."""
        return BatchRange(1, self.best or middle(batches), max(batches))


def make_candidates(
    backends: Iterable[BackendName],
    precisions: Sequence[Precision],
    rewrites: Sequence[tuple[str, ...]],
    batches: Sequence[int],
    *,
    timed: bool,
) -> tuple[Candidate, ...]:
    """Return candidates, the first graph in the first library and precision first.

    Args:
        backends: libraries.
        precisions: those wanted, of which each library gets those it has.
        rewrites: of the graphs there are, the published one first.
        batches: batch sizes to tune for.
        timed: whether they will be timed. If not, a batch that a plan is tuned for and an optimisation level
            make no difference that a cost model could see.
    """
    return tuple(
        Candidate(backend, precision, rewrite, best, options)
        for rewrite in rewrites
        for backend in backends
        for builder in [builder_of(backend)]
        for precision in precisions
        if precision in builder.backend.precisions
        for options in builder.options(timed=timed)
        for best in builder.best_batches(batches, timed=timed)
    )


def must_beat(candidate: Candidate, field: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return what a candidate must be faster than, beyond the noise, to be taken.

    That is the reference, and of a rewrite the published graph in the same library, precision and options:
    no rewrite is taken that makes things slower.
    """
    behind = [*field[:1], candidate.plain]
    return tuple(dict.fromkeys(each for each in behind if each != candidate and each in field))
