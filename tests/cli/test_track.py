"""`osnet-edge track` on drawn people: its files are the library's tracks, and its pictures open."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from osnet_edge.cli.demo_tracks import tracked_section
from osnet_edge.cli.main import main
from osnet_edge.runtime import Embedder
from osnet_edge.runtime.package.manifest import set_threshold
from osnet_edge.runtime.package.threshold import Threshold
from osnet_edge.track.draw import colour_of
from osnet_edge.track.embed import embed_sequence
from osnet_edge.track.run import track
from osnet_edge.track.scores import score_tracks
from osnet_edge.track.tracker import Rules
from osnet_edge.train.data.sequences import read_sequences
from osnet_edge.train.synthetic import write_video

PACKAGE = Path(__file__).parents[1] / "frozen/before/float32"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "site"
    write_video(folder, cameras=2, people=8, seconds=5, rate=5, size=(320, 180), seed=0)
    return folder


def test_tracks_and_scores_are_those_of_the_library_and_pictures_open(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2 = pytest.importorskip("cv2")
    monkeypatch.chdir(tmp_path)
    drawn = ["--video", "v.mp4", "--contact-sheet", "s.png"]
    assert main(["track", str(PACKAGE), "--frames", str(site), "-o", "tracks", "--json", *drawn]) == 0
    document = json.loads(capsys.readouterr().out)
    sequences, embedder = read_sequences([site]), Embedder.load(PACKAGE)
    rows = [embed_sequence(embedder, each).rows for each in sequences]
    tracks = track(sequences, rows, Rules(), shared=True).tracks
    for each, told, found in zip(sequences, document["sequences"], tracks, strict=True):
        assert Path(f"tracks/{each.name}.txt").read_text() == "".join(found.lines(each.numbers)) != ""
        assert told["scores"]["idf1"] == score_tracks([each], [found]).scores().idf1
    assert document["across_cameras"].keys() == {"site"}
    assert document["ms_a_frame"].keys() == {"read", "embed", "associate"}
    video = cv2.VideoCapture("v.mp4")
    # The cameras side by side, as long as the one that lost fewer frames.
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == max(len(each.frames) for each in sequences)
    assert (video.get(cv2.CAP_PROP_FRAME_WIDTH), video.read()[0]) == (640, True)
    assert Image.open("s.png").width <= 2000
    # A folder of tracks is replaced by another, and a folder with something else is not.
    again = ["track", "--motion-alone", "--frames", str(site), "-o", "tracks"]
    assert main(again) == 0
    Path("tracks/notes.txt").write_text("what I saw in these frames\n")
    assert main(again) == 2
    assert "notes.txt to replace, found a text" in capsys.readouterr().err


def test_boxes_of_a_users_csv_are_followed_as_those_of_a_sequence(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    camera = site / "camera-1"
    # Beside them one that is outside of every frame.
    lines = ["frame,score,x1,y1,x2,y2", *(f"{frame},0.9,-90,-90,-20,-20" for frame in range(1, 6))]
    for line in (camera / "det/det.txt").read_text().splitlines():
        frame, _, left, top, wide, high, score = map(float, line.split(","))
        lines.append(f"{frame:.0f},{score},{left},{top},{left + wide!r},{top + high!r}")
    Path("boxes.csv").write_text("\n".join(lines))
    own = ["--frames", f"{camera}/img1", "--detections", "boxes.csv", "--rate", "5"]
    for name, options in (("own.txt", own), ("mot.txt", ["--frames", str(camera)])):
        assert main(["track", str(PACKAGE), *options, "-o", name]) == 0
    # Nothing tells that frames were lost, so that they are numbered one after another.
    (read,) = read_sequences([camera])
    whole = replace(read, numbers=tuple(range(1, len(read.frames) + 1)), rate=5)
    rows = [embed_sequence(Embedder.load(PACKAGE), whole).rows]
    (found,) = track([whole], rows, Rules()).tracks
    assert Path("own.txt").read_text() == "".join(found.lines(whole.numbers)) != ""
    own_words, mot_words = capsys.readouterr().out.split("mot.txt: ")
    assert "IDF1" in mot_words
    assert "IDF1" not in own_words


def test_the_packages_threshold_is_taken_where_it_has_one(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(PACKAGE, "package")
    set_threshold("package", Threshold(0.875, 0.001, (0.8, 0.9), "viper", 20, 10))
    frames = ["--frames", f"{site}/camera-1", "-o", "tracks.txt"]
    for arguments, said in (
        (["package"], "cosine 0.875 means the same person, the package's"),
        (["package", "--threshold", "0.5"], "cosine 0.5 means the same person, as given"),
        ([str(PACKAGE)], "cosine 0.8 means the same person, the tracker's own, for the package has none"),
        (["--motion-alone"], "no appearance: motion alone"),
    ):
        assert main(["track", *arguments, *frames]) == 0
        assert capsys.readouterr().out.splitlines()[0].endswith(said)


def test_frames_numbered_by_the_clock_make_no_endless_video(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(site / "camera-1", "camera")
    last = max(Path("camera/img1").iterdir())
    last.rename(last.with_stem("1700000000"))
    tracks = ["track", "--motion-alone", "--frames", "camera", "-o", "tracks.txt"]
    assert main([*tracks, "--video", "v.mp4"]) == 2
    assert "for 1,700,000,000 numbers; rename them, or draw a contact sheet" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["camera"]
    assert main([*tracks, "--contact-sheet", "sheet.png"]) == 0


def test_a_missing_extra_is_named(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "filterpy", None)
    monkeypatch.setitem(sys.modules, "filterpy.kalman", None)
    for module in ("run", "tracker"):
        monkeypatch.delitem(sys.modules, f"osnet_edge.track.{module}", raising=False)
    monkeypatch.delitem(sys.modules, "osnet_edge.cli.track_text", raising=False)
    assert main(["track", "--motion-alone", "--frames", str(site), "-o", f"{tmp_path}/tracks"]) == 1
    assert "pip install 'osnet-edge[tracking]'" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
    section = tracked_section(tmp_path / "site", Embedder.load(PACKAGE))
    assert "pip install 'osnet-edge[tracking]'" in section.note


def test_neighbours_have_colours_that_differ() -> None:
    colours = [colour_of(identity) for identity in range(1, 100)]
    for place, one in enumerate(colours):
        for other in colours[place + 1 : place + 5]:
            assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 50


def test_mot17_mini_runs_through(shared: Path, tmp_path: Path) -> None:
    mini = shared / "data/mot17-mini"
    assert main(["track", str(PACKAGE), "--frames", str(mini), "-o", f"{tmp_path}/mini"]) == 0
    assert len(list((tmp_path / "mini").iterdir())) == 4
