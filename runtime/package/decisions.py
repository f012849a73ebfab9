"""What a manifest says of how its precision came about: INT8's groups and losses, and times compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class TracksLoss:
    """What an engine loses of identities in sequences against float32, in points; below 0 it gains.

    Attributes:
        idf1: of IDF1.
        interval: 95 % interval of that.
        resampled: what the interval is over, such as "8 sequences".
        sequences: their names.
        threshold: of the tracker: cosine from which somebody who appears is somebody who was seen before.
    """

    idf1: float
    interval: tuple[float, float]
    resampled: str
    sequences: tuple[str, ...]
    threshold: float


@dataclass(frozen=True)
class AccuracyLoss:
    """What an engine loses against float32 on held-out images, in points (hundredths); below 0 it gains.

    Attributes:
        mean_ap: of mAP.
        mean_ap_most: the upper end of its one-sided 95 % interval: what it loses at most, as far as these
            images can tell.
        rank1: of Rank-1.
        rank1_most: as above.
        changed: the same where other cameras, drawn as `Int8.changes` says, see one side of a pair or both,
            whichever may lose more; None in packages from before that was measured.
        tracks: in sequences; None where there were none, or where it loses too much of the rest already.
    """

    mean_ap: float
    mean_ap_most: float
    rank1: float
    rank1_most: float
    changed: AccuracyLoss | None = None
    tracks: TracksLoss | None = None

    @property
    def worse(self) -> AccuracyLoss:
        """What may lose more mAP, of the same cameras or of changed ones: a budget is held to it."""
        return max((self, self.changed or self), key=lambda loss: loss.mean_ap_most)


@dataclass(frozen=True)
class Drift:
    """How far an engine's embeddings are from float32's, which needs nobody to be known.

    Attributes:
        pictures: on how many images, none of which was calibrated on.
        mean: mean-centred cosine distance, on average over the images.
        most: the same of the worst image.
    """

    pictures: int
    mean: float
    most: float


@dataclass(frozen=True)
class GroupDecision:
    """One group of layers.

    Attributes:
        group: its name.
        macs: its share of the network's multiply-accumulates.
        loss: what it loses alone; None where that was not needed: all groups together were within the budget,
            or there was none.
        saved_ms: milliseconds a batch that it saves beside the others in INT8; None where nothing was timed.
        int8: whether it computes in INT8.
    """

    group: str
    macs: float
    loss: AccuracyLoss | None
    saved_ms: float | None
    int8: bool


@dataclass(frozen=True)
class Int8:
    """How INT8 was made, or why it was not.

    Attributes:
        rules: where Q/DQ pairs stand, see `osnet_edge.engines.quantization.rules`.
        ranges: how ranges were chosen, such as `mse`.
        calibration: name of the calibration set's file.
        pictures_sha256: of the hashes of its images, in their order.
        pictures: how many.
        held_out: images of other people, on whom the loss was measured; 0 where it was not.
        budget: points of mAP that might be lost; None where none was given.
        budget_rank1: the same of Rank-1.
        loss: what the groups in INT8 lose together, or would have; None where it was not measured.
        macs: their share of the multiply-accumulates.
        groups: the decision, group by group.
        dropped: why none of them is in INT8; None where some are, or the package is from before it was said.
        pairs: Q/DQ and the operators between them, counted as `osnet_edge.engines.quantization.qdq`
            counts them; empty where nothing is in INT8, and in older packages.
        weight_bits: of the weights: 8, or 7 for processors without VNNI (what ONNX Runtime's quantiser calls
            `reduce_range`); 8 in packages from before it was written down.
        drift: how far embeddings move, where the calibration set knows nobody and so tells no loss.
        changes: under which changes of camera `AccuracyLoss.changed` was measured and `changed_copies` were
            seen, the ends of each range by name (`osnet_edge.engines.calibration.camera_changes` says what
            of); empty where there was neither.
        changed_copies: images so changed that ranges saw beside `pictures`; 0 in older packages.
        budget_idf1: points of IDF1 that might be lost in sequences; None where none was given.
    """

    rules: str
    ranges: str
    calibration: str
    pictures_sha256: str
    pictures: int
    held_out: int
    budget: float | None
    budget_rank1: float | None
    loss: AccuracyLoss | None
    macs: float
    groups: tuple[GroupDecision, ...]
    dropped: str | None = None
    pairs: dict[str, int] = field(default_factory=dict)
    weight_bits: Literal[7, 8] = 8
    drift: Drift | None = None
    changes: dict[str, tuple[float, float]] = field(default_factory=dict)
    changed_copies: int = 0
    budget_idf1: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Precisions that were compared on the machine that built the package.

    Attributes:
        batch: images a call.
        milliseconds: for a batch, by precision (and library, where there were two), medians in turns; empty
            where the target could not be timed.
        why: what was chosen, and why, in a line.
    """

    batch: int
    milliseconds: dict[str, float]
    why: str
