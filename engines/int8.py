"""INT8 for one engine: ranges from a calibration set, and the groups of layers that a budget allows."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osnet_edge.bench.measure.accuracy import centred_cosines
from osnet_edge.bench.measure.plan import Footage
from osnet_edge.bench.metrics.evaluate import feature_ranks
from osnet_edge.bench.metrics.scores import average_precisions, first_hits
from osnet_edge.bench.metrics.statistics import paired_bootstrap
from osnet_edge.engines.calibration import CalibrationPicture, CalibrationSet, load_pictures
from osnet_edge.engines.calibration.camera_changes import RANGES, seen_by_other_cameras
from osnet_edge.engines.graph.reading import ExportedGraph, Graph
from osnet_edge.engines.graph.running import batches_of, simulate
from osnet_edge.engines.quantization.decide import Budget, choose_groups
from osnet_edge.engines.quantization.qdq import count_pairs
from osnet_edge.engines.quantization.quantizer import METHOD, Quantized, Quantizer
from osnet_edge.engines.quantization.rules import QdqRules, vary_rules
from osnet_edge.engines.quantization.table import find_table, read_batches
from osnet_edge.engines.tracks import Embed, KeptTracks
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.package.decisions import AccuracyLoss, Drift, GroupDecision, Int8
from osnet_edge.runtime.package.golden import normalize_rows
from osnet_edge.runtime.package.graph_info import GraphInfo

Rows = npt.NDArray[np.float32]
_Points = npt.NDArray[np.float64]
#: Milliseconds a batch that each group saves, if the target can be timed; None if INT8 cannot run here.
GroupTimer = Callable[[Quantizer], Mapping[str, float] | None]
_BATCH = 32
#: Why nothing is in INT8.
NO_GROUP = "no group of layers is within the budget"
#: Two-sided, so that the lower end alone is passed in 5 % of samples.
_CONFIDENCE = 0.9


@dataclass(frozen=True)
class Calibration:
    """The user's calibration: images to calibrate on, and the largest accepted loss.

    Attributes:
        pictures: the set.
        file: of the set, beside which the table is kept.
        budget: what may be lost; None takes all groups, whatever they lose.
        footage: sequences that a budget of IDF1 is held to; None where there is none.
        one_weight_scale: whether all of a layer's weights share a scale, as some compilers want.
        throughout: whether gates and the embedding are in INT8 too, as NPUs without floating point want.
    """

    pictures: CalibrationSet
    file: Path
    budget: Budget | None = None
    one_weight_scale: bool = False
    throughout: bool = False
    footage: Footage | None = None

    @property
    def people(self) -> tuple[CalibrationPicture, ...]:
        """Images of the people held out, whom a budget needs.

        Raises:
            InputError: there are none.
        """
        if self.pictures.drawn.kind == "unlabelled":
            raise InputError(
                f"a budget needs people held out, and {self.file} is of images without identities; build "
                "--precision int8 without a budget, which tells how far embeddings move, or draw it again "
                "with a set of people on two cameras: osnet-edge calibrate --data SET beside --crops or "
                "--detections"
            )
        if not self.pictures.held_out:
            raise InputError(
                f"a budget needs people held out, and {self.file} has none; draw it again with "
                "osnet-edge calibrate from a set with people on two cameras"
            )
        return self.pictures.held_out


class HeldOut:
    """The held-out people of a calibration set, and the loss of an engine on them.

    Each image is embedded twice: as it is, and as a camera that nobody calibrated on would give it.

    Args:
        request: of a set that holds people out.
        graph: the float32 graph.
        progress: called with a line for each step.

    Raises:
        InputError: the set holds nobody out, or an image vanished.
    """

    def __init__(
        self, request: Calibration, graph: ExportedGraph, progress: Callable[[str], None] = lambda step: None
    ) -> None:
        pictures = request.people
        self.count = len(pictures)
        self._identities = [each.identity for each in pictures]
        self._cameras = [each.camera for each in pictures]
        crops = chain(load_pictures(pictures), seen_by_other_cameras(load_pictures(pictures)))
        self._batches = tuple(batches_of(crops, graph.info.preprocessing, _BATCH))
        progress(f"embedding {self.count:,} held-out images in float32")
        self._reference = simulate(graph.path, self._batches)
        self._budget, self._tracks = request.budget, None
        if request.footage:
            progress("following people through sequences in float32")
            float32 = partial(simulate, graph.path)
            self._tracks = KeptTracks(request.footage, graph.info.preprocessing, float32)

    def loss(self, rows: Rows) -> AccuracyLoss:
        """Return what embeddings of the images, and behind them of the changed ones, lose against float32's.

        Raises:
            CheckError: they are not all finite.
        """
        if not np.isfinite(rows).all():
            raise CheckError("the engine gives NaN or infinite embeddings on held-out images; no package")
        return held_out_loss(self._reference, rows, self._identities, self._cameras)

    def loss_of(self, graph: Graph) -> AccuracyLoss:
        """Return what a Q/DQ graph loses, computed as written."""
        return self._with_tracks(self.loss(simulate(graph, self._batches)), partial(simulate, graph))

    def loss_by(self, engine: Engine, max_batch: int = _BATCH) -> AccuracyLoss:
        """Return what an engine loses as it computes, called with `max_batch` images at most."""
        loss = self.loss(self.embed_by(engine, max_batch))
        return self._with_tracks(loss, partial(_infer, engine, max_batch=max_batch))

    def embed_by(self, engine: Engine, max_batch: int = _BATCH) -> Rows:
        """Return an engine's embeddings, (2 N, D) of length 1, of the images and the changed ones."""
        return normalize_rows(_infer(engine, self._batches, max_batch=max_batch))

    def _with_tracks(self, loss: AccuracyLoss, embed: Embed) -> AccuracyLoss:
        """Measure what is lost in sequences too, which takes longest, of what is within the budget so far."""
        if self._tracks is None or (self._budget and not self._budget.allows_ranks(loss)):
            return loss
        return replace(loss, tracks=self._tracks.loss(embed))


def _infer(engine: Engine, batches: Iterable[npt.NDArray[np.generic]], *, max_batch: int) -> Rows:
    parts = (batch[i : i + max_batch] for batch in batches for i in range(0, len(batch), max_batch))
    return np.concatenate([engine.infer(part) for part in parts])


def measure_drift(
    request: Calibration, graph: ExportedGraph, quantized: Graph, progress: Callable[[str], None]
) -> Drift | None:
    """Return how far embeddings of an unlabelled set's held-out images move; None if it has none.

    Args:
        request: of the set.
        graph: the float32 graph.
        quantized: the Q/DQ graph, computed as written.
        progress: called with a line for each step.

    Raises:
        InputError: an image vanished.
    """
    pictures = request.pictures.held_out
    if not pictures:
        return None
    progress(f"measuring how far embeddings of {len(pictures):,} other images move")
    batches = tuple(read_batches(pictures, graph.info.preprocessing, _BATCH))
    far = 1 - centred_cosines(simulate(graph.path, batches), simulate(quantized, batches))
    return Drift(len(pictures), float(far.mean()), float(far.max()))


def held_out_loss(
    reference: npt.NDArray[np.float32],
    other: npt.NDArray[np.float32],
    identities: Sequence[int],
    cameras: Sequence[int],
) -> AccuracyLoss:
    """Return what `other` loses: every image is a query, and all of other cameras are its gallery.

    Other cameras may have seen one side of a pair, the query or its gallery (of which a query has the mean),
    or both; whichever of the two may lose more counts. Each person counts once; intervals are over people.

    Args:
        reference: (2 N, D) embeddings of float32: of N images, and of the same under changed cameras.
        other: (2 N, D) embeddings of the engine.
        identities: (N,) numbers of people.
        cameras: (N,) numbers of cameras.

    Raises:
        InputError: nobody was seen by two cameras.
    """

    def points(rows: Rows) -> tuple[_Points, _Points, _Points]:
        plain, changed = np.split(rows, 2)
        of = partial(_points, identities=identities, cameras=cameras)
        return of(plain, plain), (of(changed, plain) + of(plain, changed)) / 2, of(changed, changed)

    plain, *changed = map(_loss, points(reference), points(other))
    return replace(plain, changed=max(changed, key=lambda loss: loss.mean_ap_most))


def _points(queries: Rows, gallery: Rows, *, identities: Sequence[int], cameras: Sequence[int]) -> _Points:
    """Return (2, P): the average precision and the hits at Rank-1 of each person, in points.

    Of people and not of images, since a person's images are lost together: others stand for other people.
    """
    ranks = feature_ranks(queries, gallery, identities, identities, cameras, cameras)
    _, people = np.unique(np.asarray(identities)[ranks.answerable], return_inverse=True)
    sums = [np.bincount(people, weights=each) for each in (average_precisions(ranks), first_hits(ranks))]
    return 100 * np.stack(sums) / np.bincount(people)


def _loss(reference: _Points, other: _Points) -> AccuracyLoss:
    mean_ap, rank1 = (
        paired_bootstrap(one, two, confidence=_CONFIDENCE) for one, two in zip(reference, other, strict=True)
    )
    return AccuracyLoss(-mean_ap.mean, -mean_ap.low, -rank1.mean, -rank1.low)


def decide_int8(
    graph: ExportedGraph,
    rules: QdqRules,
    request: Calibration,
    held_out: HeldOut | None,
    *,
    time_groups: GroupTimer | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> tuple[Quantized, Int8]:
    """Find ranges, and choose the groups that compute in INT8.

    Args:
        graph: the float32 graph.
        rules: of the engine.
        request: calibration set and budget.
        held_out: whom losses are measured on; None measures none, and there is no budget.
        time_groups: what each group saves; None goes by its share of the work.
        progress: called with a line for each step.

    Returns:
        The groups in INT8, none where none is within the budget, and how that was decided.
    """
    rules = vary_rules(rules, one_weight_scale=request.one_weight_scale, throughout=request.throughout)
    table = find_table(graph, request.pictures, request.file, progress)
    quantizer = Quantizer(graph, table, rules)
    shares = {name: quantizer.macs_share([name]) for name in quantizer.groups}
    saved: dict[str, float] = {}

    def gains() -> Mapping[str, float]:
        saved.update((time_groups(quantizer) if time_groups else None) or {})
        # Sums and gates are next to no work, but what they save is not nothing.
        return saved or {name: max(share, 1e-6) for name, share in shares.items()}

    alone: Mapping[str, AccuracyLoss] = {}
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
    quantized = Quantized(quantizer, tuple(chosen))
    changed_copies = len(request.pictures.pictures) * request.pictures.drawn.changed_copies
    decision = Int8(
        rules=rules.name,
        ranges=METHOD,
        calibration=request.file.name,
        pictures_sha256=table.pictures_sha256,
        pictures=len(request.pictures.pictures),
        held_out=held_out.count if held_out else 0,
        budget=request.budget.mean_ap if request.budget else None,
        budget_rank1=request.budget.rank1 if request.budget else None,
        budget_idf1=request.budget.idf1 if request.budget else None,
        loss=loss,
        macs=quantizer.macs_share(chosen),
        groups=tuple(
            GroupDecision(name, share, alone.get(name), saved.get(name), name in chosen)
            for name, share in shares.items()
        ),
        pairs=count_pairs(quantized.make()) if chosen else {},
        weight_bits=rules.weight_bits,
        changes=RANGES if held_out or changed_copies else {},
        changed_copies=changed_copies,
    )
    return quantized, decision


def fine_tuning(info: GraphInfo, request: Calibration) -> str:
    """Return what a user can do if no group of layers is within the budget."""
    files = ["--weights", info.model.checkpoint, "--data", "SET", "--calibration", request.file.name]
    return f"fine-tune the checkpoint (osnet-edge train quantize {shlex.join(files)} -o RUN)"


def without(decision: Int8, why: str) -> Int8:
    """Return a decision with all groups taken out of INT8 again, and why."""
    floats = tuple(replace(each, int8=False) for each in decision.groups)
    return replace(decision, macs=0.0, groups=floats, dropped=why, pairs={})
