"""What INT8 was foreseen to lose, and what it lost on people and cameras that nobody calibrated on.

    osnet-edge calibrate --data cuhk03 --images 512 -o calib.json
    python scripts/foreseen_loss.py x025.onnx x05.onnx --pair calib.json viper --across cuhk03 -o out.json

One row for each network, rules, calibration set and test set. `--across SET` calibrates on
camera 1 of a set's training images, foresees on other people of that camera, and tests still others on
camera 2. All groups of layers are in INT8, every Q/DQ is computed as it is written, on the CPU. Rows are kept
in the output as they come, and not measured again.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
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
from osnet_edge.engines.graph.reading import ExportedGraph, Graph, read_graph
from osnet_edge.engines.graph.running import batches_of, simulate
from osnet_edge.engines.int8 import Calibration, HeldOut
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import RULES
from osnet_edge.engines.quantization.table import find_table
from osnet_edge.runtime.files import sha256_of, write_json
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Picture
from osnet_edge.train.data import open_set

Points = npt.NDArray[np.float64]

#: People of camera 1 that are held out, and people of camera 2 that are tested.
_PEOPLE = 250
#: Standard errors to the ends of intervals of 95 %, one-sided as foreseen and two-sided as lost.
_ONE_SIDED, _TWO_SIDED = 1.645, 1.96


@dataclass(frozen=True)
class Test:
    """Queries and their gallery."""

    query: Sequence[LabelledPicture]
    gallery: Sequence[LabelledPicture]


@dataclass(frozen=True)
class Case:
    """People to calibrate and foresee on, and sets of people to test on."""

    name: str
    calibration: Calibration
    tests: dict[str, Test]


@click.command()
@click.argument("graphs", nargs=-1, required=True)
@click.option("--pair", "pairs", type=(str, str), multiple=True, metavar="CALIBRATION SET,...")
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
        for path in graphs:
            names = {each: f"{Path(path).stem}, {each}, {case.name}" for each in rules}
            missing = [
                each for each in rules if any(f"{names[each]} to {test}" not in rows for test in case.tests)
            ]
            for each, found in _measure(read_graph(Path(path)), case, missing):
                rows.update({f"{names[each]} to {test}": row for test, row in found.items()})
                write_json(file, rows)
    _print(rows)


def _pair(calibration: str, sets: str) -> Case:
    file = Path(calibration)
    found = {Path(name).name: open_set(name) for name in sets.split(",")}
    return Case(
        file.stem,
        Calibration(read_calibration_set(file), file),
        {name: Test(each.query, each.gallery) for name, each in found.items()},
    )


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
    how = HowDrawn(
        (data,), (), 0, len(rest), len(rest), len(order) - 2 * _PEOPLE, 1, 0, 0, 0, _PEOPLE, changed_copies=1
    )
    made = CalibrationSet("osnet-edge calibration set", 1, how, (), rest, held)
    calibration = Calibration(made, folder.resolve() / f"{Path(data).name}-camera.json")
    return Case(f"{Path(data).name} camera {first}", calibration, {f"camera {second}": Test(tested, tested)})


def _measure(
    graph: ExportedGraph, case: Case, rules: Sequence[str]
) -> Iterator[tuple[str, dict[str, dict[str, tuple[float, ...]]]]]:
    """Yield for each rules what was foreseen and lost, test by test: points of mAP, and ends of intervals."""
    if not rules:
        return
    step(f"{graph.info.model.variant}: {case.name}")
    held_out = HeldOut(case.calibration, graph, step)
    table = find_table(graph, case.calibration.pictures, case.calibration.file, step)
    batches = {
        name: tuple(batches_of(map(_read, (*test.query, *test.gallery)), graph.info.preprocessing, 32))
        for name, test in case.tests.items()
    }
    before = {name: _precisions(graph.path, batches[name], test) for name, test in case.tests.items()}
    for each in rules:
        step(each)
        quantizer = Quantizer(graph, table, RULES[each])
        quantized = quantizer.make(tuple(quantizer.groups))
        foreseen = held_out.loss_of(quantized)
        changed = foreseen.changed or foreseen
        found: dict[str, dict[str, tuple[float, ...]]] = {}
        for name, test in case.tests.items():
            lost = paired_bootstrap(before[name], _precisions(quantized, batches[name], test))
            found[name] = {
                "same": (foreseen.mean_ap, foreseen.mean_ap_most),
                "changed": (changed.mean_ap, changed.mean_ap_most),
                "lost": (-lost.mean, -lost.high, -lost.low),
            }
        yield each, found


def _read(picture: LabelledPicture) -> Picture:
    return read_picture(picture.path)


def _precisions(graph: Graph | Path, batches: Sequence[npt.NDArray[np.generic]], test: Test) -> Points:
    """Return the average precision of each query, in points."""
    rows = simulate(graph, batches)
    ids, cameras = (
        [[getattr(each, name) for each in side] for side in (test.query, test.gallery)]
        for name in ("identity", "camera")
    )
    queries, gallery = np.split(rows, [len(test.query)])
    return 100 * average_precisions(feature_ranks(queries, gallery, *ids, *cameras))


def _print(rows: dict[str, dict[str, Sequence[float]]]) -> None:
    """Print the table, and how often a loss was foreseen: as far as can be told, and below the upper end."""
    print("| network, Q/DQ for, sets | same cameras | changed cameras | lost | foreseen by |")
    print("| --- | --- | --- | --- | --- |")
    below, told, kinds = Counter[str](), Counter[str](), ("same", "changed", "worse")
    for name, row in rows.items():
        lost, low, high = row["lost"]
        foreseen = {**row, "worse": max(row["same"], row["changed"], key=lambda ends: ends[1])}
        below.update(kind for kind in kinds if lost <= foreseen[kind][1])
        # The test is a sample too: the difference of both has an interval of its own.
        within = [kind for kind in kinds if lost - foreseen[kind][0] <= _margin(foreseen[kind], lost - low)]
        told.update(within)
        ends = [f"{row[kind][0]:+.2f} (at most {row[kind][1]:+.2f})" for kind in ("same", "changed")]
        ends += [f"{lost:+.2f} ({low:+.2f} to {high:+.2f})", ", ".join(within) or "none"]
        print(f"| {name} | {' | '.join(ends)} |")
    for kind in kinds:
        print(f"{kind}: foreseen in {told[kind]} of {len(rows)}; lost no more than at most in {below[kind]}")


def _margin(foreseen: Sequence[float], lower: float) -> float:
    """Return by how much a loss may exceed what was foreseen before chance does not explain it: one in 20."""
    return float(np.hypot(foreseen[1] - foreseen[0], lower * _ONE_SIDED / _TWO_SIDED))


if __name__ == "__main__":
    main()
