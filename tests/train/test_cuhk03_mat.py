"""`data unpack`: `cuhk-03.mat` as published, in small, to sets of both protocols and both kinds of boxes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from empty_files import people
from scipy.io import savemat

from osnet_edge.cli.main import main
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.train.data import open_set, open_sets

#: Of each camera pair.
PEOPLE = (3, 2, 2, 1, 1)


def image(boxes: str, pair: int, who: int, shot: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Height x width x 3, of a size of its own."""
    rng = np.random.default_rng((len(boxes), pair, who, shot))
    return rng.integers(0, 256, (20 + shot, 8 + who, 3), np.uint8)


def is_there(boxes: str, shot: int) -> bool:
    """A detector misses some: people have up to five images of each camera."""
    return shot not in ((3, 5, 9, 10) if boxes == "detected" else (5,))


def published(file: Path) -> Path:
    """MATLAB's own layout: cells are references, arrays are transposed, and what is empty holds its sizes."""
    with h5py.File(file, "w") as made:
        kept = made.create_group("#refs#")

        def keep(value: Any, *, empty: bool = False) -> h5py.Reference:
            stored = kept.create_dataset(str(len(kept)), data=value)
            if empty:
                stored.attrs["MATLAB_empty"] = np.uint8(1)
            return stored.ref

        def cells(references: list[list[h5py.Reference]]) -> Any:
            return np.array(references, h5py.ref_dtype)

        nothing = keep(np.zeros(2, np.uint64), empty=True)
        for boxes in ("detected", "labeled"):
            pairs = []
            for pair, count in enumerate(PEOPLE, 1):
                shots = [
                    [
                        keep(image(boxes, pair, who, shot).T) if is_there(boxes, shot) else nothing
                        for who in range(1, count + 1)
                    ]
                    for shot in range(1, 11)
                ]
                pairs.append(keep(cells(shots)))
            made.create_dataset(boxes, data=cells([pairs]))
        # Split k tests on a person of the first pair and one of the third.
        tests = [keep(np.array([[1.0, 3.0], [1 + k % 3, 1 + k % 2]])) for k in range(20)]
        made.create_dataset("testsets", data=cells([tests]))
    return file


def new_protocol(folder: Path, boxes: str) -> None:
    names = ["1_001_1_01.png", "1_002_1_01.png", "1_002_2_06.png"]
    indices = {f"{part}_idx": [[k + 1]] for k, part in enumerate(("train", "query", "gallery"))}
    filelist = np.array(names, object)[:, None]
    savemat(folder / f"cuhk03_new_protocol_config_{boxes}.mat", {"filelist": filelist, **indices})


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cuhk03")
    for boxes in ("detected", "labeled"):
        new_protocol(folder, boxes)
    assert main(["data", "unpack", str(published(folder / "cuhk-03.mat")), "-o", str(folder / "out")]) == 0
    return folder / "out"


@pytest.mark.parametrize(
    ("name", "boxes", "shots"), [("cuhk03", "detected", 6), ("cuhk03-labelled", "labeled", 9)]
)
def test_both_protocols_read_what_was_unpacked(unpacked: Path, name: str, boxes: str, shots: int) -> None:
    splits = open_sets(f"{name}-classic={unpacked}")
    assert len(splits) == 20
    for k, found in enumerate(splits):
        assert people(found.query) == {1001 + k % 3, 3001 + k % 2}
        assert people(found.query).isdisjoint(people(found.train))
        assert (len(found.train), len(found.query), found.query) == (7 * shots, 2 * shots, found.gallery)
    for each in (*splits[0].train, *splits[0].query):
        pair, who, camera, shot = map(int, each.path.stem.split("_"))
        np.testing.assert_array_equal(read_picture(each.path), image(boxes, pair, who, shot))
        assert (each.identity, each.camera, camera) == (1000 * pair + who, camera, 1 if shot <= 5 else 2)
    new = open_set(f"{name}={unpacked}")
    assert [len(part) for part in (new.train, new.query, new.gallery)] == [1, 1, 1]
    assert main(["data", "check", f"{name}={unpacked}"]) == 0


def test_the_new_protocol_can_be_copied_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "unpack", str(published(tmp_path / "cuhk-03.mat")), "-o", f"{tmp_path}/out"]) == 0
    assert "after copying cuhk03_new_protocol_config_detected.mat and" in capsys.readouterr().out


def spoilt(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def spoil(file: Path) -> None:
        with h5py.File(file, "r+") as made:
            change(made)

    return spoil


def drop(name: str) -> Callable[[Path], None]:
    return spoilt(lambda made: made.__delitem__(name))


def lead_nowhere(made: h5py.File) -> None:
    made["detected"][0, 2] = h5py.Reference()


def other_pixels(made: h5py.File) -> None:
    del made["#refs#/1"]
    made["#refs#/1"] = np.zeros((4, 8, 20), np.uint8)


def no_image(made: h5py.File) -> None:
    made["detected"][...] = made["labeled"][...]
    for reference in made["labeled"][0]:
        made[reference][...] = made["#refs#/0"].ref


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(
            lambda file: file.write_bytes(file.read_bytes()[:3000]), "cannot be read as", id="cut short"
        ),
        pytest.param(lambda file: file.write_bytes(b"no HDF5"), "cannot be read as", id="another file"),
        pytest.param(drop("testsets"), "cannot be read as", id="without its splits"),
        pytest.param(drop("labeled"), "cannot be read as", id="without a kind of boxes"),
        pytest.param(spoilt(lead_nowhere), "cannot be read as", id="a cell that leads nowhere"),
        pytest.param(spoilt(other_pixels), "expected images of 3 x width", id="an image of four channels"),
        pytest.param(spoilt(no_image), "expected images under detected", id="nothing but empty cells"),
    ],
)
def test_what_is_damaged_is_told_in_one_line_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], words: str
) -> None:
    spoil(file := published(tmp_path / "cuhk-03.mat"))
    assert main(["data", "unpack", str(file), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in said
    assert said.endswith("copy it again")
    assert [path.name for path in tmp_path.iterdir()] == ["cuhk-03.mat"]


def test_the_file_itself_and_its_folder_name_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder := tmp_path / "cuhk03_release").mkdir()
    file = published(folder / "cuhk-03.mat")
    for spec in (file, folder, tmp_path, f"cuhk03-labelled-classic={tmp_path}"):
        assert main(["data", "check", str(spec)]) == 2
        assert f"osnet-edge data unpack {file} -o FOLDER" in capsys.readouterr().err


def test_without_h5py_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "cuhk-03.mat").touch()
    assert main(["data", "unpack", str(tmp_path / "cuhk-03.mat"), "-o", str(tmp_path / "out")]) == 1
    assert "needs h5py, which is not installed: pip install 'osnet-edge[data]'" in capsys.readouterr().err
