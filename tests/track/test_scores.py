"""The figures are TrackEval's own, and intervals of differences hold what they say."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence as Listed
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trackeval

from osnet_edge.runtime.errors import InputError
from osnet_edge.track.run import join, track
from osnet_edge.track.scores import score_tracks
from osnet_edge.track.sequence import Sequence, Tracks
from osnet_edge.track.tracker import Rules
from osnet_edge.train.data.sequences import read_own_frames, read_sequences


def figures_of_trackeval(folder: Path, sequences: Listed[Sequence], tracks: Listed[Tracks]) -> dict[str, Any]:
    """Lay files out as TrackEval publishes MOT17's, run it as its own script does, and return its totals.

    Frames that are not there are empty, as they are for who marked them and for the tracker.
    """
    truth, found = folder / "gt/mot_challenge", folder / "trackers/mot_challenge/MOT17-train/mine/data"
    found.mkdir(parents=True)
    (truth / "seqmaps").mkdir(parents=True)
    names = [f"MOT17-{number:02d}-DPM" for number in range(len(sequences))]
    (truth / "seqmaps/MOT17-train.txt").write_text("\n".join(["name", *names]) + "\n")
    for name, sequence, own in zip(names, sequences, tracks, strict=True):
        place = truth / "MOT17-train" / name
        (place / "gt").mkdir(parents=True)
        original = sequence.frames[0].parents[1] / "gt/gt.txt"
        there = {str(number) for number in sequence.numbers}
        lines = [line for line in original.read_text().splitlines(True) if line.split(",")[0] in there]
        (place / "gt/gt.txt").write_text("".join(lines))
        (place / "seqinfo.ini").write_text(f"[Sequence]\nseqLength={sequence.numbers[-1]}\n")
        (found / f"{name}.txt").write_text("".join(own.lines(sequence.numbers)))
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = trackeval.datasets.MotChallenge2DBox(
            {"GT_FOLDER": str(truth), "TRACKERS_FOLDER": str(folder / "trackers/mot_challenge")}
        )
        evaluator = trackeval.Evaluator({"PLOT_CURVES": False, "LOG_ON_ERROR": None})
        metrics = [trackeval.metrics.HOTA(), trackeval.metrics.CLEAR(), trackeval.metrics.Identity()]
        results, _ = evaluator.evaluate([dataset], metrics)
    whole = results["MotChallenge2DBox"]["mine"]["COMBINED_SEQ"]["pedestrian"]
    return {
        "hota": 100 * np.mean(whole["HOTA"]["HOTA"]),
        "deta": 100 * np.mean(whole["HOTA"]["DetA"]),
        "assa": 100 * np.mean(whole["HOTA"]["AssA"]),
        "idf1": 100 * whole["Identity"]["IDF1"],
        "mota": 100 * whole["CLEAR"]["MOTA"],
        "switches": whole["CLEAR"]["IDSW"],
        "fragmentations": whole["CLEAR"]["Frag"],
    }


def test_drawn_sequences_are_scored_as_trackeval_scores_their_files(
    site: tuple[Sequence, ...], tmp_path: Path
) -> None:
    tracks = track(site, None, Rules()).tracks
    mine = vars(score_tracks(site, tracks).scores())
    assert mine == pytest.approx(figures_of_trackeval(tmp_path, site, tracks), abs=1e-6)
    # So that a figure that is always 0 or 100 would be seen.
    assert all(1 < mine[name] < 99 for name in ("hota", "deta", "assa", "idf1", "mota"))


def test_frames_of_mot17_are_scored_as_trackeval_scores_their_files(shared: Path, tmp_path: Path) -> None:
    sequences = read_sequences([shared / "data/mot17-mini"])
    tracks = track(sequences, None, Rules()).tracks
    mine = vars(score_tracks(sequences, tracks).scores())
    assert mine == pytest.approx(figures_of_trackeval(tmp_path, sequences, tracks), abs=1e-6)


def test_a_person_who_has_one_identity_in_all_cameras_is_one_when_they_are_joined(
    site: tuple[Sequence, ...],
) -> None:
    truth = []
    for sequence in site:
        assert sequence.truth is not None
        frames = np.repeat(np.arange(len(sequence.truth)), [len(marked.ids) for marked in sequence.truth])
        ids = np.concatenate([marked.ids for marked in sequence.truth])
        truth.append(Tracks(frames, ids, np.concatenate([marked.boxes for marked in sequence.truth])))
    joined, found = join(site, truth)
    assert score_tracks([joined], [found]).scores().idf1 == pytest.approx(100)
    # The same people by other names in the second camera.
    other = Tracks(truth[1].frames, truth[1].ids + 100, truth[1].boxes)
    joined, found = join(site, [truth[0], other])
    assert score_tracks([joined], [found]).scores().idf1 < 95
    assert score_tracks(site, [truth[0], other]).scores().idf1 == pytest.approx(100)


def test_frames_without_who_is_who_are_refused(site: tuple[Sequence, ...], tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text("file,x1,y1,x2,y2\n000001.jpg,10,10,40,90\n")
    own = read_own_frames(site[0].frames[0].parent, table)
    with pytest.raises(InputError, match=r"expected who is who in gt/gt\.txt of img1"):
        score_tracks([own], track([own], None, Rules()).tracks)
