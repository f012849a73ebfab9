"""What INT8 was foreseen to lose, and what it lost on people and cameras that nobody calibrated on.

    osnet-edge calibrate --data cuhk03 --images 512 -o calib.json
    python scripts/foreseen_loss.py x025.onnx x05.onnx --pair calib.json viper --across cuhk03 -o out.json

One row for each network, rules and pair of a calibration set with a test set. `--across SET` calibrates on
camera 1 of a set's training images, foresees on other people of that camera, and tests still others on
camera 2. All groups of layers are in INT8, every Q/DQ is computed as it is written, on the CPU. Rows are kept
in the output as they come, and not measured again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from osnet_edge.bench.metrics.evaluate import LabelledPicture, feature_ranks
from osnet_edge.bench.metrics.scores import average_precisions
from osnet_edge.bench.metrics.statistics import paired_bootstrap
from osnet_edge.cli.progress import step
from osnet_edge.engines.calibration import CalibrationPicture, CalibrationSet, read_calibration_set
from osnet_edge.engines.calibration.calibration_set import HowDrawn
from osnet_edge.engines.graph.reading import ExportedGraph, read_graph
from osnet_edge.engines.graph.running import batches_of, simulate
from osnet_edge.engines.int8 import Calibration, HeldOut
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import RULES
from osnet_edge.engines.quantization.table import find_table
from osnet_edge.runtime.files import sha256_of, write_json
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.train.data import open_set

#: People of camera 1 that are held out, and people of camera 2 that are tested.
_PEOPLE = 250


@dataclass(frozen=True)
class Case:
    """People to calibrate and foresee on, and people to test on."""

    name: str
    calibration: Calibration
    query: Sequence[LabelledPicture]
    gallery: Sequence[LabelledPicture]


@click.command()
@click.argument("graphs", nargs=-1, required=True)
@click.option("--pair", "pairs", type=(str, str), multiple=True, metavar="CALIBRATION SET")
@click.option("--across", multiple=True, metavar="SET")
@click.option("--rules", multiple=True, default=("tensorrt", "onnxruntime-x86", "openvino"))
@click.option("-o", "--output", required=True, metavar="FILE")
def main(
    graphs: tuple[str, ...],
    pairs: tuple[tuple[str, str], ...],
    across: tuple[str, ...],
    rules: tuple[str, ...],
    output: str,
) -> None:
    """Measure what is not in the output yet, and print its table."""
    file = Path(output)
    rows = json.loads(file.read_text()) if file.is_file() else {}
    cases = [_pair(*pair) for pair in pairs] + [_across(name, file.parent) for name in across]
    for case in cases:
        for graph in graphs:
            missing = [each for each in rules if _key(graph, each, case) not in rows]
            for name, row in _measure(read_graph(Path(graph)), case, missing):
                rows[_key(graph, name, case)] = row
                write_json(file, rows)
    _print(rows)


def _key(graph: str, rules: str, case: Case) -> str:
    return f"{Path(graph).stem} | {rules} | {case.name}"


def _pair(calibration: str, data: str) -> Case:
    file, found = Path(calibration), open_set(data)
    name = f"{file.stem} to {Path(data).name}"
    return Case(name, Calibration(read_calibration_set(file), file), found.query, found.gallery)


def _across(data: str, folder: Path) -> Case:
    """Divide a set's people in three, and take the first two from camera 1, the third from camera 2.

    A person is looked for in other images of the same camera, for which each image has a camera of its own.
    """
    people: dict[int, list[LabelledPicture]] = defaultdict(list)
    train = open_set(data).train
    first, second = sorted({each.camera for each in train})[:2]
    for each in train:
        people[each.identity].append(each)
    order = np.random.default_rng(0).permutation(sorted(people)).tolist()

    def of(some: Sequence[int], camera: int) -> tuple[CalibrationPicture, ...]:
        taken = [each for who in some for each in people[who] if each.camera == camera]
        return tuple(
            CalibrationPicture(str(each.path), sha256_of(each.path), each.identity, place, None)
            for place, each in enumerate(taken)
        )

    tested = of(order[:_PEOPLE], second)
    held, rest = of(order[_PEOPLE : 2 * _PEOPLE], first), of(order[2 * _PEOPLE :], first)
    how = HowDrawn((data,), (), 0, len(rest), len(rest), len(order) - 2 * _PEOPLE, 1, 0, 0, 0, _PEOPLE)
    made = CalibrationSet("osnet-edge calibration set", 1, how, (), rest, held)
    name = f"{Path(data).name}, camera {first} to camera {second}"
    return Case(name, Calibration(made, folder.resolve() / f"{Path(data).name}-camera.json"), tested, tested)


def _measure(
    graph: ExportedGraph, case: Case, rules: Sequence[str]
) -> Iterator[tuple[str, dict[str, tuple[float, ...]]]]:
    """Yield, for each rules, what was foreseen and lost: points of mAP, and the ends of intervals."""
    if not rules:
        return
    step(f"{graph.info.model.variant}: {case.name}")
    held_out = HeldOut(case.calibration, graph, step)
    table = find_table(graph, case.calibration.pictures, case.calibration.file, step)
    crops = (read_picture(each.path) for each in (*case.query, *case.gallery))
    batches = tuple(batches_of(crops, graph.info.preprocessing, 32))
    before = _precisions(simulate(graph.path, batches), case)
    for name in rules:
        step(name)
        quantizer = Quantizer(graph, table, RULES[name])
        quantized = quantizer.make(tuple(quantizer.groups))
        foreseen = held_out.loss_of(quantized)
        lost = paired_bootstrap(before, _precisions(simulate(quantized, batches), case))
        changed = foreseen.changed or foreseen
        yield (
            name,
            {
                "plain": (foreseen.mean_ap, foreseen.mean_ap_most),
                "changed": (changed.mean_ap, changed.mean_ap_most),
                "true": (-lost.mean, -lost.high, -lost.low),
                "float32": (float(before.mean()),),
            },
        )


def _precisions(rows: npt.NDArray[np.float32], case: Case) -> npt.NDArray[np.float64]:
    """Return the average precision of each query, in points."""
    queries, gallery = rows[: len(case.query)], rows[len(case.query) :]
    (ids, cameras), (gallery_ids, gallery_cameras) = (
        ([each.identity for each in side], [each.camera for each in side])
        for side in (case.query, case.gallery)
    )
    ranks = feature_ranks(queries, gallery, ids, gallery_ids, cameras, gallery_cameras)
    return 100 * average_precisions(ranks)


def _print(rows: dict[str, dict[str, Sequence[float]]]) -> None:
    print("| network, Q/DQ for, sets | same cameras | changed cameras | lost | foreseen by |")
    print("| --- | --- | --- | --- | --- |")
    counts = {"plain": 0, "changed": 0}
    for name, row in rows.items():
        lost, low, high = row["true"]
        foreseen = [each for each in counts if lost <= row[each][1]]
        for each in foreseen:
            counts[each] += 1
        said = (f"{row[each][0]:+.2f} (at most {row[each][1]:+.2f})" for each in counts)
        print(
            f"| {' | '.join((name.replace(' | ', ', '), *said))} | {lost:+.2f} ({low:+.2f} to {high:+.2f}) "
            f"| {' and '.join(foreseen) or 'neither'} |"
        )
    print(", ".join(f"{name}: {count} of {len(rows)}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
