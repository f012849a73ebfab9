"""Identities through sequences by `bench --track`: from drawn frames to every place that shows them."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("trackeval", reason="needs the extra: pip install 'osnet-edge[tracking]'")

from osnet_edge.bench.result.result import from_json, to_json
from osnet_edge.cli.main import main
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.track.run import join, track
from osnet_edge.track.scores import score_tracks
from osnet_edge.track.tracker import Rules
from osnet_edge.train.data.sequences import read_sequences
from osnet_edge.train.synthetic.video import write_video

#: Another than every default.
THRESHOLD = 0.55
QUICK = ["--batch", "1", "--duration", "0.05", "--threads", "1"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras of a site for two seconds, with one box more that lies outside its frame."""
    folder = tmp_path_factory.mktemp("drawn") / "site"
    drawn = write_video(folder, cameras=2, people=4, seconds=2, rate=8, size=(320, 180), seed=1)
    with (drawn[0] / "det" / "det.txt").open("a") as found:
        found.write("1,-1,900.0,10.0,20.0,50.0,0.90\n")
    return folder


@pytest.fixture(scope="module")
def measured(site: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What bench wrote of a package, by kind."""
    folder = tmp_path_factory.mktemp("measured")
    kinds = {"json": folder / "a.json", "csv": folder / "a.csv", "report": folder / "a.html"}
    written = [word for kind, path in kinds.items() for word in (f"--{kind}", str(path))]
    given = ["--track", str(site), "--track-threshold", str(THRESHOLD)]
    assert main(["bench", str(package), *given, *QUICK, *written]) == 0
    return kinds


def test_figures_are_those_of_the_tracker_on_each_engine_s_rows(
    site: Path, package: Path, measured: dict[str, Path]
) -> None:
    document = json.loads(measured["json"].read_text())
    sequences, rules = read_sequences([site]), Rules(threshold=THRESHOLD)
    embedder = Embedder.load(package, threads=1)
    rows = [
        [
            np.nan_to_num(embedder.embed_boxes(read_picture(path), found.boxes).embeddings)
            for path, found in zip(each.frames, each.detections, strict=True)
        ]
        for each in sequences
    ]
    # Zeros for the box outside.
    assert not rows[0][0][-1].any()
    baseline = document["tracked"]["motion"]
    for row, given in ((document["engines"][1]["tracking"], rows), (baseline, None)):
        alone = score_tracks(sequences, track(sequences, given, rules).tracks).scores()
        assert row["scores"] == pytest.approx(vars(alone), abs=1e-9)
        joined, found = join(sequences, track(sequences, given, rules, shared=True).tracks)
        assert row["across_idf1"] == pytest.approx(score_tracks([joined], [found]).scores().idf1, abs=1e-9)
    assert document["tracked"]["frames"] == sum(len(each.frames) for each in sequences)
    assert document["tracked"]["threshold"] == THRESHOLD
    # The reference computes the same here, in a process of its own.
    assert document["engines"][1]["tracking"]["change"]["idf1"] == 0
    assert document["engines"][0]["tracking"]["change"] is None


def test_a_frame_s_time_is_split(measured: dict[str, Path]) -> None:
    document = json.loads(measured["json"].read_text())
    for engine in document["engines"]:
        row = engine["tracking"]
        whole = row["crop_ms"] + row["embed_ms"] + row["associate_ms"]
        assert row["frames_per_second"] == pytest.approx(1000 / whole)
    assert document["tracked"]["motion"]["embed_ms"] is None


def test_every_rendering_has_a_row_for_each_and_one_for_motion_alone(measured: dict[str, Path]) -> None:
    document = json.loads(measured["json"].read_text())
    with measured["csv"].open(newline="") as file:
        rows = {row["engine"]: row for row in csv.DictReader(file)}
    assert list(rows) == [*(each["name"] for each in document["engines"]), "motion alone"]
    assert float(rows["motion alone"]["hota"]) == document["tracked"]["motion"]["scores"]["hota"]
    page = measured["report"].read_text()
    assert "Identities through sequences" in page
    assert "Tracking against time" in page
    assert f"{document['tracked']['motion']['scores']['hota']:.2f}" in page


def test_a_result_is_read_as_it_was_written(measured: dict[str, Path]) -> None:
    text = measured["json"].read_text()
    assert to_json(from_json(text)) == text


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        # Sequences that nobody marked have no score.
        (
            ["--track", "unmarked"],
            2,
            "expected who is who in gt/gt.txt of every sequence, found none in camera-1",
        ),
        # Nothing to hold it to.
        (["--track-threshold", "0.5"], 2, "expected --track SEQUENCES with --track-threshold"),
        # No cosine.
        (["--track", "site", "--track-threshold", "7"], 2, "as a cosine, -1 to 1; got 7"),
        # No sequences inside.
        (["--track", "empty"], 2, "expected a sequence in"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_measured(
    site: Path,
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    status: int,
    says: str,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "site").symlink_to(site)
    shutil.copytree(site, tmp_path / "unmarked")
    (tmp_path / "unmarked" / "camera-1" / "gt" / "gt.txt").unlink()
    monkeypatch.chdir(tmp_path)
    assert main(["bench", str(package), *QUICK, *options]) == status
    told = capsys.readouterr()
    assert says in told.err
    assert len(told.err.splitlines()) == 1
    assert not told.out


def test_the_missing_extra_is_named(
    site: Path, package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # As Python finds a package that is not installed.
    monkeypatch.setitem(sys.modules, "filterpy", None)
    assert main(["bench", str(package), *QUICK, "--track", str(site)]) == 1
    assert "needs filterpy, not installed here: pip install 'osnet-edge[tracking]'" in capsys.readouterr().err
