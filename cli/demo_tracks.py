"""People followed through a short sequence, for the report of `osnet-edge demo`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osnet_edge.bench import PictureSection
from osnet_edge.bench.report.pictures import InlinePicture
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.embedder import Embedder

_TITLE = "Whom it followed"
_SHOWN = 9
#: Pixels across, as many as a page takes, and of letters, which it shows smaller.
_WIDE, _LETTERS = 400, 22


def tracked_section(site: Path, embedder: Embedder) -> PictureSection:
    """Show some frames with who is who, and what appearance adds to motion alone.

    Args:
        site: a drawn sequence; where there is none, the section says why.
        embedder: the engine.
    """
    if not site.is_dir():
        return PictureSection(
            _TITLE, "Not tried, for its libraries are missing: pip install 'osnet-edge[tracking]'"
        )
    # Not there without the extra.
    from osnet_edge.track.draw import Screen
    from osnet_edge.track.embed import embed_sequence
    from osnet_edge.track.run import track
    from osnet_edge.track.scores import score_tracks
    from osnet_edge.track.tracker import Rules
    from osnet_edge.train.data.sequences import read_sequences

    sequences, rules = read_sequences([site]), Rules()
    rows = [embed_sequence(embedder, each).rows for each in sequences]
    by_looks, by_motion = (track(sequences, each, rules).tracks for each in (rows, None))
    looks, motion = (score_tracks(sequences, each).scores() for each in (by_looks, by_motion))
    screen = Screen(sequences, by_looks, _WIDE, _LETTERS)
    times = (np.arange(_SHOWN) + 0.5) / _SHOWN * screen.seconds
    frames = tuple(
        InlinePicture.of(np.asarray(screen.at(seconds)), f"after {seconds:.1f} s") for seconds in times
    )
    return PictureSection(
        _TITLE,
        f"People drawn anew walk, hide each other, leave and come back; a number and a colour is who they "
        f"are taken for. IDF1 is {looks.idf1:.1f} % with {counted(looks.switches, 'identity switch')}, and "
        f"{motion.idf1:.1f} % with {motion.switches:,} by motion alone.",
        frames,
    )
