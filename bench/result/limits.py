"""Limits of the machine and the graph: ceilings, the lowest possible latency (floor), distances from it.

The floor of a batch is the longer of two times that no engine can beat in its precision: its operations at
the rate of the machine's largest matrix product, and the bytes that must cross memory at least once (weights,
input and output) at the rate of its largest copy. What stays in caches in between is not counted, so the
floor is a true lower bound, and a loose one where caches are small.

Source: "Roofline: An Insightful Visual Performance Model" (Williams et al., 2009).
"""

from __future__ import annotations

from dataclasses import dataclass

from osnet_edge.bench._require import require
from osnet_edge.runtime.precisions import PRECISIONS

#: Bytes of a number in a precision.
BYTES: dict[str, int] = {name: traits.bytes for name, traits in PRECISIONS.items()}


@dataclass(frozen=True)
class LayerWork:
    """Work of one operation of the graph, for one image.

    Attributes:
        name: of the node.
        kind: its operation, such as Conv.
        operations: arithmetic ones; a multiply-accumulate is two.
        activations: numbers that it reads and writes, without weights.
        weights: numbers of its weights.
    """

    name: str
    kind: str
    operations: int
    activations: int
    weights: int

    def __post_init__(self) -> None:
        smallest = min(self.operations, self.activations, self.weights)
        require(smallest >= 0, "counts of 0 or more", smallest)


@dataclass(frozen=True)
class Work:
    """Work of a graph.

    Attributes:
        layers: in the graph's order.
        input_bytes: of one image.
        output_bytes: of one embedding.
    """

    layers: tuple[LayerWork, ...]
    input_bytes: int
    output_bytes: int

    @property
    def operations(self) -> int:
        """Arithmetic operations for one image."""
        return sum(layer.operations for layer in self.layers)

    def moved_bytes(self, batch: int, precision: str) -> int:
        """Return the bytes that all operations read and write, each on its own, as if nothing was fused."""
        size = BYTES.get(precision, 4)
        return size * sum(layer.activations * batch + layer.weights for layer in self.layers)

    def min_bytes(self, batch: int, precision: str) -> int:
        """Return the bytes that must cross memory once: weights, input and output."""
        weights = sum(layer.weights for layer in self.layers)
        return BYTES.get(precision, 4) * weights + batch * (self.input_bytes + self.output_bytes)


@dataclass(frozen=True)
class Ceilings:
    """The machine's best rates, with the threads of the benchmark.

    Attributes:
        bytes_per_second: read and written by a large copy; None where it was not measured.
        operations_per_second: of a large matrix product, by precision.
    """

    bytes_per_second: float | None
    operations_per_second: dict[str, float]

    def __post_init__(self) -> None:
        rates = [*self.operations_per_second.values(), self.bytes_per_second or 1.0]
        require(min(rates) > 0, "rates above 0", min(rates))


@dataclass(frozen=True)
class Limit:
    """One engine at one batch against the floor.

    Attributes:
        engine: its name.
        batch: images a call.
        floor_ms: what no engine of this precision can beat on this machine.
        times_floor: the engine's median over the floor.
        bound: what sets the floor, "compute" or "memory".
        operations_per_second: what the engine does.
        operations_per_byte: of the graph, nothing fused, in the engine's precision.
    """

    engine: str
    batch: int
    floor_ms: float
    times_floor: float
    bound: str
    operations_per_second: float
    operations_per_byte: float


def limit(
    engine: str, batch: int, precision: str, p50_ms: float, work: Work, ceilings: Ceilings
) -> Limit | None:
    """Compare an engine's median with the floor; None if the ceiling of its precision is not known."""
    rate = ceilings.operations_per_second.get(precision)
    if rate is None or not p50_ms:
        return None
    operations = work.operations * batch
    compute = operations / rate
    copied = ceilings.bytes_per_second
    memory = work.min_bytes(batch, precision) / copied if copied else 0.0
    floor_ms = max(compute, memory) * 1e3
    return Limit(
        engine=engine,
        batch=batch,
        floor_ms=floor_ms,
        times_floor=p50_ms / floor_ms,
        bound="compute" if compute >= memory else "memory",
        operations_per_second=operations / p50_ms * 1e3,
        operations_per_byte=operations / work.moved_bytes(batch, precision),
    )
