"""INT8 for one engine: ranges from a calibration set, and the groups of layers that a budget allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from osnet_edge.engines.calibration import CalibrationPicture, CalibrationSet
from osnet_edge.engines.graph.reading import ExportedGraph
from osnet_edge.engines.held_out_loss import held_out_loss
from osnet_edge.engines.quantization.count_pairs import count_pairs
from osnet_edge.engines.quantization.decide import Budget, choose_groups
from osnet_edge.engines.quantization.quantizer import METHOD, Quantizer, simulate
from osnet_edge.engines.quantization.rules import QdqRules
from osnet_edge.engines.quantization.table_cache import find_table, read_batches
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.package.decisions import GroupDecision, Int8, Loss
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.package.graph_info import GraphInfo

Rows = npt.NDArray[np.float32]
#: Milliseconds a batch that each group saves, where a target can be timed; None where INT8 cannot be run.
GroupTimer = Callable[[Quantizer], Mapping[str, float] | None]
_BATCH = 32
#: Why nothing is in INT8.
NO_GROUP = "no group of layers is within the budget"


@dataclass(frozen=True)
class Calibration:
    """What a user gives: pictures to calibrate on, and what may be lost.

    Attributes:
        pictures: the set.
        file: of the set, beside which the table is kept.
        budget: what may be lost; None takes all groups, whatever they lose.
    """

    pictures: CalibrationSet
    file: Path
    budget: Budget | None = None

    @property
    def people(self) -> tuple[CalibrationPicture, ...]:
        """Pictures of the people held out, whom a budget needs.

        Raises:
            InputError: there are none.
        """
        if not self.pictures.held_out:
            raise InputError(
                f"a budget needs people held out, and {self.file} has none; draw it anew with "
                "osnet-edge calibrate from a set with people on two cameras"
            )
        return self.pictures.held_out


class HeldOut:
    """The people of a calibration set that it held out, and what an engine loses on them.

    Args:
        request: of a set that holds people out.
        graph: the float32 graph.

    Raises:
        InputError: the set holds nobody out, or a picture vanished.
    """

    def __init__(self, request: Calibration, graph: ExportedGraph) -> None:
        pictures = request.people
        self.count = len(pictures)
        self._identities = [each.identity for each in pictures]
        self._cameras = [each.camera for each in pictures]
        self._batches = tuple(read_batches(pictures, graph.info.preprocessing, _BATCH))
        self._reference = simulate(graph.path, self._batches)

    def loss(self, rows: Rows) -> Loss:
        """Return what embeddings of the pictures lose against float32's.

        Raises:
            CheckError: they are not all finite.
        """
        if not np.isfinite(rows).all():
            raise CheckError("the engine gives NaN or infinite embeddings on held-out pictures; no package")
        return held_out_loss(self._reference, rows, self._identities, self._cameras)

    def loss_of(self, model: ModelProto) -> Loss:
        """Return what a Q/DQ graph loses, computed as written."""
        return self.loss(simulate(model, self._batches))

    def loss_by(self, engine: Engine, most: int = _BATCH) -> Loss:
        """Return what an engine loses as it computes, called with `most` pictures at most."""
        return self.loss(self.embed_by(engine, most))

    def embed_by(self, engine: Engine, most: int = _BATCH) -> Rows:
        """Return an engine's embeddings of the pictures, (N, D) of length 1, `most` a call."""
        parts = (batch[i : i + most] for batch in self._batches for i in range(0, len(batch), most))
        return normalize_rows(np.concatenate([engine.infer(part) for part in parts]))


@dataclass(frozen=True)
class Quantized:
    """INT8 of one graph for one engine, decided on.

    Attributes:
        decision: group by group.
        quantizer: makes the graph.
    """

    decision: Int8
    quantizer: Quantizer
    _made: dict[bool, ModelProto] = field(default_factory=dict, repr=False)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of layers in INT8; none where none is within the budget."""
        return tuple(each.group for each in self.decision.groups if each.int8)

    @property
    def whole(self) -> bool:
        """Whether they are all."""
        return len(self.groups) == len(self.decision.groups)

    def make(self, half: bool = False) -> ModelProto:
        """Return the graph, what is around INT8 in float16 instead of float32 with `half`."""
        if half not in self._made:
            self._made[half] = self.quantizer.make(self.groups, half=half)
        return self._made[half]


def decide_int8(
    graph: ExportedGraph,
    rules: QdqRules,
    request: Calibration,
    held_out: HeldOut | None,
    *,
    time_groups: GroupTimer | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Quantized:
    """Find ranges, and choose the groups that compute in INT8.

    Args:
        graph: the float32 graph.
        rules: of the engine.
        request: calibration set and budget.
        held_out: whom losses are measured on; None measures none, and there is no budget.
        time_groups: what each group saves; None goes by its share of the work.
        progress: told what is being done.
    """
    table = find_table(graph, request.pictures, request.file, progress)
    quantizer = Quantizer(graph.model, table, rules)
    shares = {name: quantizer.macs_share([name]) for name in quantizer.groups}
    saved: dict[str, float] = {}

    def gains() -> Mapping[str, float]:
        saved.update((time_groups(quantizer) if time_groups else None) or {})
        # Sums and gates are next to no work, but what they save is not nothing.
        return saved or {name: max(share, 1e-6) for name, share in shares.items()}

    alone: Mapping[str, Loss] = {}
    chosen: Sequence[str] = tuple(quantizer.groups)
    loss = held_out.loss_of(quantizer.make(chosen)) if held_out and request.budget is None else None
    if request.budget is not None and held_out is not None:
        choice = choose_groups(
            chosen,
            gains,
            lambda names: held_out.loss_of(quantizer.make(names)),
            request.budget,
            progress,
        )
        chosen, loss, alone = (choice.groups, choice.loss, choice.alone) if choice else ((), None, {})
    decision = Int8(
        rules=rules.name,
        ranges=METHOD,
        calibration=request.file.name,
        pictures_sha256=table.pictures_sha256,
        pictures=len(request.pictures.pictures),
        held_out=held_out.count if held_out else 0,
        budget=request.budget.mean_ap if request.budget else None,
        budget_rank1=request.budget.rank1 if request.budget else None,
        loss=loss,
        macs=quantizer.macs_share(chosen),
        groups=tuple(
            GroupDecision(name, share, alone.get(name), saved.get(name), name in chosen)
            for name, share in shares.items()
        ),
        pairs=count_pairs(quantizer.make(chosen)) if chosen else {},
        weight_bits=rules.weight_bits,
    )
    return Quantized(decision, quantizer)


def fine_tuning(info: GraphInfo, request: Calibration) -> str:
    """Return what a user can do where no group of layers is within the budget."""
    return (
        f"fine-tune the checkpoint (osnet-edge train quantize --weights {info.model.checkpoint} --data SET "
        f"--calibration {request.file.name} -o RUN)"
    )


def without(decision: Int8, why: str) -> Int8:
    """Return a decision with all groups taken out of INT8 again, and why."""
    floats = tuple(replace(each, int8=False) for each in decision.groups)
    return replace(decision, macs=0.0, groups=floats, dropped=why, pairs={})
