"""What a search leaves behind: a placement file, a line for each epoch, and a drawing of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osnet_edge.runtime.package.placement import DESIGNS, Placement
from osnet_edge.train.placement_file import write_placement
from osnet_edge.train.search import SearchEpoch
from osnet_edge.train.search_chart import search_chart

PLACEMENT_NAME, LOG_NAME, CHART_NAME = "placement.json", "search.jsonl", "search.svg"


def write_search(
    folder: Path, placement: Placement, history: Sequence[SearchEpoch], how: dict[str, Any]
) -> None:
    """Write the outcome of a search into a folder.

    Args:
        folder: where; it exists.
        placement: what was found.
        history: every epoch, as `search` reported it.
        how: settings and data, as JSON values by name, for whoever reads the placement file.
    """
    lines = [_named(epoch) for epoch in history]
    last = lines[-1]["probabilities"]
    write_placement(folder / PLACEMENT_NAME, placement, {**how, "probabilities": last})
    (folder / LOG_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / CHART_NAME).write_text(search_chart(f"Search: {placement.code}", history), encoding="utf-8")


def _named(epoch: SearchEpoch) -> dict[str, Any]:
    """Return an epoch as JSON, each probability under the name of its design."""
    shares = [
        {design: round(share, 5) for design, share in zip(DESIGNS, row, strict=True)}
        for row in epoch.probabilities
    ]
    return {
        "epoch": epoch.epoch,
        "temperature": epoch.temperature,
        "loss": round(epoch.loss, 5),
        "accuracy": round(epoch.accuracy, 5),
        "probabilities": shares,
    }
