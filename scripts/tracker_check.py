"""Run trackers themselves with our rows, on synthetic people who walk, and say whether each got those rows.

It is evidence, run by hand in an environment of its own: BoxMOT and Ultralytics are under the AGPL, and
nothing of this project needs any of them.

    python -m venv trackers-env
    trackers-env/bin/pip install . torch==2.13.0
    trackers-env/bin/pip install av defusedxml filterpy huggingface-hub lapx matplotlib 'pandas<3' \\
        opencv-python-headless platformdirs polars psutil pydeprecate pyyaml requests rich safetensors \\
        scikit-learn tqdm
    trackers-env/bin/pip install --no-deps torchvision==0.28.0 boxmot==25.0.0 deep-sort-realtime==1.3.2 \\
        norfair==2.3.0 supervision==0.31.2 timm trackers==2.0.2rc0 ultralytics==8.4.190
    trackers-env/bin/python scripts/tracker_check.py osnet-cpu

Without dependencies: torchvision would bring torch for CUDA, and norfair asks for numpy 1, though it runs
with 2. trackers 2.0.2rc0 is the last release that takes rows of others; 2.1 to 2.6.1 have no appearance.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import click
import numpy as np
from documented import ROOT, steps
from numpy.typing import NDArray
from PIL import Image

from osnet_edge.runtime import Embedder, InputError
from osnet_edge.runtime.trackers import (
    BoxmotEncoder,
    RoboflowEncoder,
    UltralyticsEncoder,
    add_embeddings,
    cosine_distance,
    with_embeds,
)
from osnet_edge.train.synthetic import draw_frame

_PEOPLE, _SIZE, _SURE = 4, (640, 360), 0.9


class Seen(NamedTuple):
    """A frame, BGR, with x1, y1, x2, y2 of each person, and what a tracker should get for them."""

    frame: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    rows: NDArray[np.float32]


class Tracked(NamedTuple):
    """What a tracker made of one frame: the numbers of its tracks, and the rows that it was given."""

    tracks: list[int]
    rows: Any


Run = Callable[[Embedder, list[Seen]], Iterator[Tracked]]


def _rows_of(seen: Seen) -> NDArray[np.float32]:
    """Return detections as BoxMOT packs them: box, confidence, class."""
    ends = np.tile(np.array([_SURE, 0], np.float32), (len(seen.boxes), 1))
    return np.concatenate([seen.boxes, ends], axis=1)


def boxmot_get_features(embedder: Embedder, frames: list[Seen]) -> Iterator[Tracked]:
    """BoT-SORT asks its re-ID model."""
    from boxmot import BotSort

    encoder, given = BoxmotEncoder(embedder), list[Any]()
    noting = SimpleNamespace(
        get_features=lambda boxes, frame: _note(given, encoder.get_features(boxes, frame))
    )
    tracker = BotSort(reid_model=noting)
    for seen in frames:
        tracks = tracker.update(_rows_of(seen), seen.frame)
        yield Tracked([int(each) for each in tracks[:, 4]], given[-1])


def boxmot_encode(embedder: Embedder, frames: list[Seen]) -> Iterator[Tracked]:
    """A pipeline's encoder enriches detections, and StrongSORT takes them."""
    import torch
    from boxmot import StrongSort
    from boxmot.pipelines.perception import PerceptionPipeline, PipelineOutputs
    from boxmot.structures import Boxes, Detections, Frame

    encoder = BoxmotEncoder(embedder)
    pipeline = PerceptionPipeline(detector=None, reid=encoder, outputs=PipelineOutputs(embeddings=True))
    tracker = StrongSort()
    for number, seen in enumerate(frames):
        frame = Frame(
            torch.from_numpy(np.ascontiguousarray(seen.frame[..., ::-1].transpose(2, 0, 1))), str(number)
        )
        count = len(seen.boxes)
        found = Detections(
            Boxes(torch.from_numpy(seen.boxes)),
            torch.full((count,), _SURE),
            torch.zeros(count, dtype=torch.int64),
            frame.sample_id,
        )
        (enriched,) = pipeline.enrich([frame], [found])
        tracks = tracker.update(enriched, frame)
        yield Tracked(tracks.track_ids.tolist(), enriched.embeddings.numpy())


def roboflow(embedder: Embedder, frames: list[Seen]) -> Iterator[Tracked]:
    """DeepSORT asks its re-ID model."""
    import supervision as sv
    from trackers import DeepSORTTracker

    encoder, given = RoboflowEncoder(embedder), list[Any]()
    noting = SimpleNamespace(
        extract_features=lambda found, frame: _note(given, encoder.extract_features(found, frame))
    )
    tracker = DeepSORTTracker(reid_model=noting)
    for seen in frames:
        found = sv.Detections(
            xyxy=seen.boxes,
            confidence=np.full(len(seen.boxes), _SURE, np.float32),
            class_id=np.zeros(len(seen.boxes), int),
        )
        ids = tracker.update(found, seen.frame).tracker_id
        yield Tracked([int(each) for each in ids if each >= 0], given[-1])


def ultralytics(embedder: Embedder, frames: list[Seen]) -> Iterator[Tracked]:
    """BoT-SORT asks its encoder."""
    import torch
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.bot_sort import BOTSORT
    from ultralytics.utils import YAML, IterableSimpleNamespace
    from ultralytics.utils.checks import check_yaml

    encoder, given = UltralyticsEncoder(embedder), list[Any]()
    tracker = BOTSORT(IterableSimpleNamespace(**YAML.load(check_yaml("botsort.yaml"))))
    encoder.attach(tracker)
    tracker.encoder = lambda frame, dets: _note(given, encoder(frame, dets))
    for seen in frames:
        found = Boxes(torch.from_numpy(_rows_of(seen)), seen.frame.shape[:2]).numpy()
        tracks = tracker.update(found, seen.frame)
        # The first stage has all, since each is sure; a later one has none.
        yield Tracked([int(each) for each in tracks[:, 4]], given[-1])


def deep_sort_realtime(embedder: Embedder, frames: list[Seen]) -> Iterator[Tracked]:
    """DeepSort is given embeds."""
    from deep_sort_realtime.deepsort_tracker import DeepSort

    tracker = DeepSort(embedder=None)
    for seen in frames:
        raw = [([x1, y1, x2 - x1, y2 - y1], _SURE, "person") for x1, y1, x2, y2 in seen.boxes.tolist()]
        both = with_embeds(embedder, seen.frame, raw)
        tracks = tracker.update_tracks(*both)
        yield Tracked([int(each.track_id) for each in tracks if each.is_confirmed()], both.embeds)


def norfair(embedder: Embedder, frames: list[Seen]) -> Iterator[Tracked]:
    """Tracker is given detections with an embedding."""
    from norfair import Detection, Tracker

    tracker = Tracker(
        *("iou", 0.7),
        reid_distance_function=cosine_distance,
        reid_distance_threshold=0.5,
        reid_hit_counter_max=50,
    )
    for seen in frames:
        found = [Detection(box.reshape(2, 2)) for box in seen.boxes]
        add_embeddings(embedder, seen.frame, found)
        tracks = tracker.update(found)
        yield Tracked([each.id for each in tracks], [each.embedding for each in found])


#: Package, and how it takes rows.
RUNS: dict[str, tuple[str, Run]] = {
    "BoxMOT, get_features": ("boxmot", boxmot_get_features),
    "BoxMOT, encode": ("boxmot", boxmot_encode),
    "Roboflow's trackers": ("trackers", roboflow),
    "Ultralytics": ("ultralytics", ultralytics),
    "deep_sort_realtime": ("deep-sort-realtime", deep_sort_realtime),
    "norfair": ("norfair", norfair),
}


def _note(given: list[Any], rows: Any) -> Any:
    given.append(rows)
    return rows


def draw(embedder: Embedder, frames: int) -> list[Seen]:
    """Draw people who walk, with the rows of `embed_boxes` by frames in RGB."""
    scene = []
    for moment in range(frames):
        frame, boxes, _ = draw_frame(_PEOPLE, _SIZE, seed=1, moment=moment)
        rows, valid = embedder.embed_boxes(frame, boxes)
        assert valid.all()
        scene.append(Seen(np.ascontiguousarray(frame[..., ::-1]), boxes, rows))
    return scene


def import_torchvision() -> None:
    """Import torchvision beside torch for the CPU, of which it has no build: it asks for two operators."""
    import torch

    registry: Any = torch.library
    library = registry.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import_module("torchvision")


def run_page(package: Path, scene: list[Seen]) -> None:
    """Run the programs of docs/TRACKERS.md as they are written."""
    page = (ROOT / "docs/TRACKERS.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        Path("osnet-cpu").symlink_to(package)
        Image.fromarray(scene[0].frame[..., ::-1]).save("frame.jpg")
        for step in steps(page):
            if step.is_python:
                exec(step.typed, {})  # noqa: S102 - what the page says is what is run
                (title,) = (line for line in step.typed.splitlines() if "runtime.trackers import" in line)
                click.echo(f"ran: {title}")
        os.chdir(ROOT)


def check(embedder: Embedder, scene: list[Seen], run: Run) -> tuple[list[str], bool]:
    """Return a tracker's cells of the table, and whether it got our rows and found people by them."""
    done = list(run(embedder, scene))
    equal = sum(np.array_equal(each.rows, seen.rows) for each, seen in zip(done, scene, strict=True))
    count = tracks_of(done)
    # Beside each frame, where it holds no pixel.
    outside = np.array([[_SIZE[0] + 10, 50, _SIZE[0] + 60, 150]], np.float32)
    strays = [each._replace(boxes=np.concatenate([each.boxes, outside])) for each in scene]
    try:
        beyond = f"{tracks_of(list(run(embedder, strays)))} tracks"
    except InputError:
        beyond = "raises"
    cells = [str(len(done)), str(count), f"{equal} of {len(scene)}", beyond]
    return cells, equal == len(scene) and count > 0


def tracks_of(done: list[Tracked]) -> int:
    """Return how many tracks there were over all frames."""
    return len({track for each in done for track in each.tracks})


@click.command()
@click.argument("package", type=click.Path(exists=True, path_type=Path))
@click.option("--frames", default=40, show_default=True, help="Frames of the sequence, 25 to a second.")
def main(package: Path, frames: int) -> None:
    """Run trackers with the rows of PACKAGE, then the programs of docs/TRACKERS.md.

    Exit code 1 where a tracker got other rows, or found nobody.
    """
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())
    import_torchvision()
    embedder = Embedder.load(package)
    scene, good = draw(embedder, frames), True
    table = [["tracker", "version", "frames", "tracks", "rows equal", "with a box outside"]]
    for name, (distribution, run) in RUNS.items():
        cells, holds = check(embedder, scene, run)
        table.append([name, version(distribution), *cells])
        good &= holds
    run_page(package.resolve(), scene)
    # At the end, since trackers print too.
    click.echo(f"\n{_PEOPLE} people, {frames} frames of {_SIZE[0]}x{_SIZE[1]}\n")
    for row in table:
        click.echo(
            "  ".join(cell.ljust(width) for cell, width in zip(row, (22, 9, 6, 6, 10, 18), strict=True))
        )
    sys.exit(not good)


if __name__ == "__main__":
    main()
