"""Text of a manifest's INT8 decision, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.package.decisions import AccuracyLoss, Drift, GroupDecision, Int8, TracksLoss


def describe_int8(decision: Int8) -> str:
    """Return the decision in one line; if INT8 was dropped, with the reason and the loss."""
    if used := sum(each.int8 for each in decision.groups):
        groups = counted(len(decision.groups), "group")
        parts = [f"{used} of {groups}, {decision.macs:.0%} of the multiply-accumulates"]
    else:
        parts = [f"dropped, as {decision.dropped}" if decision.dropped else "dropped"]
    if decision.loss:
        lost = f"{describe_loss(decision.loss)} on {counted(decision.held_out, 'held-out image')}"
        parts.append(lost if used else f"in INT8 {lost}")
        if decision.loss.changed:
            parts.append(f"under changed cameras {describe_loss(decision.loss.changed)}")
        if decision.loss.tracks:
            parts.append(describe_tracks(decision.loss.tracks))
    if decision.drift:
        parts.append(describe_drift(decision.drift))
    changed = f" and {decision.changed_copies:,} changed ones" if decision.changed_copies else ""
    parts.append(
        f"{decision.ranges} ranges of {counted(decision.pictures, 'image')}{changed}, "
        f"Q/DQ for {decision.rules}, weights of {decision.weight_bits} bits"
    )
    return "; ".join(parts)


def describe_loss(loss: AccuracyLoss) -> str:
    """Return a loss in a few words.

    Example:
        >>> describe_loss(AccuracyLoss(0.1, 0.4, 0.2, 0.6))
        'mAP -0.10 (95 %: no worse than -0.40), Rank-1 -0.20 (-0.60)'
    """
    return (
        f"mAP {-loss.mean_ap:+.2f} (95 %: no worse than {-loss.mean_ap_most:+.2f}), "
        f"Rank-1 {-loss.rank1:+.2f} ({-loss.rank1_most:+.2f})"
    )


def describe_tracks(loss: TracksLoss) -> str:
    """Return in a few words what is lost in sequences.

    Example:
        >>> describe_tracks(TracksLoss(0.3, (-0.1, 0.8), "8 sequences", ("a", "b"), 0.6))
        'IDF1 -0.30 in sequences (95 %: -0.80 to +0.10, over 8 sequences)'
    """
    low, high = loss.interval
    return f"IDF1 {-loss.idf1:+.2f} in sequences (95 %: {-high:+.2f} to {-low:+.2f}, over {loss.resampled})"


def describe_drift(drift: Drift) -> str:
    """Return in a few words how far INT8 moves embeddings.

    Example:
        >>> describe_drift(Drift(256, 0.0043, 0.0312))
        'embeddings 0.0043 from float32 (worst 0.0312; mean-centred cosine distance of 256 other images)'
    """
    return (
        f"embeddings {drift.mean:.4f} from float32 (worst {drift.most:.4f}; mean-centred cosine distance of "
        f"{drift.pictures:,} other images)"
    )


def group_lines(decision: Int8 | None) -> Iterator[str]:
    """Yield the quantised share, then one line for each group; nothing if INT8 was not requested."""
    if decision is None:
        return
    if decision.pairs:
        counted = ", ".join(f"{name} {count}" for name, count in decision.pairs.items())
        yield f"{'q/dq':14} {counted}"
    if decision.changes:
        ranges = (f"{name} {low:g} to {high:g}" for name, (low, high) in decision.changes.items())
        yield f"{'cameras':14} changed in {', '.join(ranges)}"
    yield "groups of layers"
    for each in decision.groups:
        yield f"  {each.group:18} {_group(each)}"


def _group(each: GroupDecision) -> str:
    parts = ["int8" if each.int8 else "float", f"{each.macs:6.1%} of the work"]
    if each.loss:
        loss = each.loss.worse
        parts.append(f"alone mAP {-loss.mean_ap:+.2f} ({-loss.mean_ap_most:+.2f})")
    if each.saved_ms is not None:
        parts.append(f"saves {each.saved_ms:.2f} ms")
    return ", ".join(parts)
