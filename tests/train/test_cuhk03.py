"""CUHK03 as its authors lay it out: the new protocol in both of its forms, and the first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from empty_files import people, touch
from scipy.io import savemat

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data import open_set, open_sets

#: The new protocol as published: images to train on, queries, gallery.
CUHK03 = {"detected": (7_365, 1_400, 5_332), "labeled": (7_368, 1_400, 5_328)}


def cuhk03_names(boxes: str) -> dict[str, list[str]]:
    """767 people to train on, and 700 with a query on each camera, over the camera pairs that there are."""
    everyone = [(pair, k + 1) for pair, most in enumerate((843, 440, 77, 58, 49), 1) for k in range(most)]
    train, query, gallery = CUHK03[boxes]

    def shots(who: list[tuple[int, int]], count: int, first: int) -> list[str]:
        order = [(pair, k, camera) for camera in (1, 2) for pair, k in who]
        turns = [(*order[n % len(order)], first + n // len(order)) for n in range(count)]
        return [f"{pair}_{k:03d}_{camera}_{shot:02d}.png" for pair, k, camera, shot in turns]

    return {
        "train": shots(everyone[:767], train, 1),
        "query": shots(everyone[767:], query, 1),
        "gallery": shots(everyone[767:], gallery, 2),
    }


def cuhk03(root: Path, boxes: str, form: str) -> Path:
    (root / f"images_{boxes}").mkdir(parents=True)
    names = cuhk03_names(boxes)
    if form == "json":
        there = f"C:\\data\\cuhk03/images_{boxes}/"
        lists = {part: [[there + name, 0, 0] for name in each] for part, each in names.items()}
        (root / f"splits_new_{boxes}.json").write_text(json.dumps([lists]))
        return root
    every = sorted(name for each in names.values() for name in each)
    place = {name: k + 1 for k, name in enumerate(every)}
    indices = {f"{part}_idx": [[place[name]] for name in each] for part, each in names.items()}
    filelist = np.array(every, object)[:, None]
    savemat(root / f"cuhk03_new_protocol_config_{boxes}.mat", {"filelist": filelist, **indices})
    return root


@pytest.mark.parametrize("form", ["json", "matlab"])
@pytest.mark.parametrize(("boxes", "name"), [("detected", "cuhk03"), ("labeled", "cuhk03-labelled")])
def test_cuhk03_has_767_and_700_people(tmp_path: Path, boxes: str, name: str, form: str) -> None:
    found = open_set(f"{name}={cuhk03(tmp_path, boxes, form)}")
    assert (len(found.train), len(found.query), len(found.gallery)) == CUHK03[boxes]
    assert (len(people(found.train)), len(people(found.query))) == (767, 700)
    assert not people(found.train) & people(found.query)
    assert (found.name, found.protocol) == (name, "market1501")
    assert found.query[0].path.parent == tmp_path / f"images_{boxes}"


def test_cuhk03_in_the_market1501_layout_keeps_its_two_kinds_of_boxes_apart(tmp_path: Path) -> None:
    for boxes, camera in (("detected", 1), ("labeled", 2)):
        touch(tmp_path / boxes, f"bounding_box_train/0001_c{camera}_1.png")
    assert [p.camera for p in open_set(f"cuhk03={tmp_path}").train] == [1]
    assert [p.camera for p in open_set(f"cuhk03-labelled={tmp_path}").train] == [2]


def test_the_first_protocol_of_cuhk03_has_twenty_splits_and_its_own_score(tmp_path: Path) -> None:
    (tmp_path / "images_detected").mkdir()
    splits = []
    for k in range(20):
        test = [
            [f"1_{100 * k % 800 + n + 1:03d}_{camera}_01.png", n, 0] for n in range(100) for camera in (1, 2)
        ]
        splits.append({"train": [["1_843_1_01.png", 0, 0]], "query": test, "gallery": test})
    (tmp_path / "splits_classic_detected.json").write_text(json.dumps(splits))
    found = open_sets(f"cuhk03-classic={tmp_path}")
    assert len(found) == 20
    assert {each.protocol for each in found} == {"single-gallery-shot"}
    assert {len(people(each.query)) for each in found} == {100}
    assert people(found[0].query) != people(found[1].query)


@pytest.mark.parametrize(
    ("files", "spec", "words"),
    [
        pytest.param(
            ["cuhk03_release/cuhk-03.mat"], "", "make images of cuhk-03.mat first", id="as published"
        ),
        pytest.param(
            ["images_detected/x"], "", "767/700 protocol of CUHK03 in .* found neither", id="no protocol"
        ),
        pytest.param(["images_detected/x"], "cuhk03-classic=", "twenty splits", id="no first protocol"),
        pytest.param(
            ["bounding_box_train/0001_c1.png"], "cuhk03-labelled=", "images_labeled", id="which boxes?"
        ),
        pytest.param(
            ["images_detected/x", "splits_new_detected.json"],
            "",
            "expected lists of .image",
            id="empty lists",
        ),
    ],
)
def test_cuhk03_that_cannot_be_told_is_refused(
    tmp_path: Path, files: list[str], spec: str, words: str
) -> None:
    touch(tmp_path, *files)
    with pytest.raises(InputError, match=words):
        open_set(f"{spec}{tmp_path}")
