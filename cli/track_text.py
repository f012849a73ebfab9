"""What `osnet-edge track` prints: scores, people and times, as JSON or in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence as Listed
from typing import Any

import click
import numpy as np

from osnet_edge.bench.report.render import TextTable, aligned
from osnet_edge.runtime.package.schema import to_json
from osnet_edge.track.embed import EmbeddedFrames
from osnet_edge.track.run import Tracked, join
from osnet_edge.track.scores import score_tracks
from osnet_edge.track.sequence import Sequence

#: Headings of scores, by their names.
_PERCENT = {"hota": "HOTA %", "deta": "DetA %", "assa": "AssA %", "idf1": "IDF1 %", "mota": "MOTA %"}
_COUNTS = ("switches", "fragmentations")
_PARTS = {"read": "reading", "embed": "cropping and embedding", "associate": "associating"}


def tracking_document(
    sequences: Listed[Sequence], tracked: Tracked, embedded: Listed[EmbeddedFrames] | None
) -> dict[str, Any]:
    """Return what was found, with scores where somebody marked who is who, and what a frame took.

    Raises:
        UnavailableError: there is somebody marked, and TrackEval is not installed.
    """
    parts = {"associate": tracked.associate_ms}
    if embedded is not None:
        reading, embedding = ([getattr(e, name) for e in embedded] for name in ("read_ms", "embed_ms"))
        parts = {"read": np.concatenate(reading), "embed": np.concatenate(embedding), **parts}
    means = {part: float(ms.mean()) for part, ms in parts.items()}
    sites: dict[str, list[int]] = defaultdict(list)
    rows: list[dict[str, Any]] = []
    for place, (sequence, found) in enumerate(zip(sequences, tracked.tracks, strict=True)):
        marked = sequence.truth is not None
        if marked:
            sites[sequence.site].append(place)
        rows.append(
            {
                "name": sequence.name,
                "site": sequence.site,
                "frames": len(sequence.frames),
                "boxes": len(found.ids),
                "identities": len(np.unique(found.ids)),
                "scores": to_json(score_tracks([sequence], [found]).scores()) if marked else None,
            }
        )
    across = {}
    for site, cameras in sites.items():
        if len(cameras) > 1:
            whole, all_tracks = join(
                [sequences[camera] for camera in cameras], [tracked.tracks[camera] for camera in cameras]
            )
            across[site] = to_json(score_tracks([whole], [all_tracks]).scores())
    people = [len(found.boxes) for each in sequences for found in each.detections]
    return {
        "sequences": rows,
        "across_cameras": across,
        "boxes_a_frame": float(np.mean(people)),
        "ms_a_frame": means,
        "frames_per_second": 1000 / sum(means.values()),
    }


def print_tracking(document: dict[str, Any]) -> None:
    """Print a document as a table and a line on times."""
    rows = [
        [row["name"], f"{row['frames']:,}", f"{row['identities']:,}", *_cells(row["scores"])]
        for row in document["sequences"]
    ]
    for site, scores in document["across_cameras"].items():
        rows.append([f"{site}, across cameras", "", "", *_cells(scores)])
    headers = ("sequence", "frames", "identities", *_PERCENT.values(), *_COUNTS)
    shown = len(headers) if any(row["scores"] for row in document["sequences"]) else 3
    click.echo(f"\n{aligned(TextTable(headers[:shown], [row[:shown] for row in rows]))}")
    parts = ", ".join(f"{_PARTS[part]} {ms:.1f}" for part, ms in document["ms_a_frame"].items())
    click.echo(
        f"milliseconds a frame of {document['boxes_a_frame']:.1f} boxes: {parts}; "
        f"{document['frames_per_second']:.0f} frames a second"
    )


def _cells(scores: dict[str, Any] | None) -> list[str]:
    if scores is None:
        return ["-"] * (len(_PERCENT) + len(_COUNTS))
    return [f"{scores[name]:.2f}" for name in _PERCENT] + [f"{scores[name]:,}" for name in _COUNTS]
