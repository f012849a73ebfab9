"""A state that was damaged, or made to do harm, is refused in one line before anything of it is used."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import CHANGES, HERE, finished

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.data import ReidSet
from osnet_edge.train.recipe import read_recipe
from osnet_edge.train.trainer import train

Spoil = Callable[[dict[str, Any]], Any]


def account(change: Spoil) -> Spoil:
    """Change the JSON text of a state."""

    def spoil(state: dict[str, Any]) -> None:
        document = json.loads(state["run"])
        change(document)
        state["run"] = json.dumps(document)

    return spoil


def moment(name: str, value: Any) -> Spoil:
    return lambda state: state["moments"][min(state["moments"])].update({name: value})


def nan_weights(state: dict[str, Any]) -> None:
    state["state_dict"]["conv1.conv.weight"].fill_(float("nan"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        # Neither the right names nor the right kinds.
        (lambda s: s.pop("run"), "is not the state of a run"),
        (lambda s: s.update(run=3), "is not the state of a run"),
        (lambda s: s.update(run="[" * 100_000), "is not the state of a run"),
        (lambda s: s.update(moments=[]), "holds moments of other parameters"),
        (lambda s: s.update(state_dict=torch.ones(3)), "holds other weights"),
        # Weights that are no numbers, of another network, or not there.
        (nan_weights, "NaN or infinite"),
        (lambda s: s["state_dict"].pop("fc.0.weight"), "holds other weights"),
        (lambda s: s["state_dict"].update({"fc.0.bias": torch.ones(1).expand(512)}), "holds fewer"),
        (lambda s: s["state_dict"].update({"fc.0.bias": torch.ones(7)}), r"is \(7,\), expected \(512,\)"),
        (lambda s: s["state_dict"].update({"conv1.bn.num_batches_tracked": torch.ones(1)}), "is no count"),
        # Moments of other shapes, parameters and optimisers, or below what squares can be.
        (moment("exp_avg", torch.ones(3)), r"is \(3,\), expected"),
        (moment("exp_avg", "text"), "expected tensors"),
        (moment("step", torch.ones(2)), r"is \(2,\), expected \(\)"),
        (moment("step", torch.tensor(-1.0)), "is below 0"),
        (moment("momentum_buffer", torch.ones(3)), "are not those of amsgrad"),
        (lambda s: s["moments"].update({999: {}}), "holds moments of other parameters"),
        # Counts that no run comes to.
        (account(lambda d: d["progress"].update(epoch=-1)), "expected a report of each epoch"),
        (account(lambda d: d["progress"].update(step=1.5)), "progress.step: expected a whole number"),
        (account(lambda d: d["progress"].update(step=10**9)), "stands past the end"),
        (account(lambda d: d["progress"].update(hits=10**9)), "stands past the end"),
        (account(lambda d: d["progress"].update(seconds=float("nan"))), "expected a finite number"),
        (account(lambda d: d["progress"].update(reports=[])), "expected a report of each epoch"),
        (account(lambda d: d.update(scaler={"scale": 1.0, "good_steps": 0})), "stands past the end"),
        (account(lambda d: d["origin"].pop("teacher")), "the field 'teacher' is missing"),
        (account(lambda d: d.update(resumed=3)), "resumed: expected a list"),
    ],
)
def test_a_state_that_was_tampered_with_is_refused_in_one_line(
    spoiled: Callable[[Spoil], str],
    spoil: Spoil,
    message: str,
) -> None:
    told = spoiled(spoil)
    assert re.search(message, told), told
    assert "\n" not in told


@pytest.fixture(scope="module")
def spoiled(few: ReidSet, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Spoil], str]:
    """Return what spoils the state of one run, and gives what is said of it."""
    run = tmp_path_factory.mktemp("spoiled") / "run"
    recipe = read_recipe("quick", [*CHANGES, "batches.epochs=1"])
    train(few.train[:16], recipe, run, machine=HERE)
    good = (run / "last.ckpt").read_bytes()

    def said(spoil: Spoil) -> str:
        (run / "last.ckpt").write_bytes(good)
        state = torch.load(run / "last.ckpt", weights_only=True)
        spoil(state)
        torch.save(state, run / "last.ckpt")
        with pytest.raises(InputError) as refused:
            train(few.train[:16], recipe, run, machine=HERE, resume=True)
        return str(refused.value)

    return said


def code_in_a_file() -> bytes:
    buffer = io.BytesIO()
    torch.save({"run": print}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # Cut short, or something else.
        (b"PK", "cannot be read .* it is truncated, damaged .*; start a new run"),
        (b"", "is empty; start a new run"),
        (b"<html>", "is a web page"),
        # Code, which is not run; what stands for it is no state.
        (code_in_a_file(), "is not the state of a run"),
    ],
)
def test_a_file_that_is_no_state_is_refused(
    few: ReidSet, tmp_path: Path, content: bytes, message: str
) -> None:
    recipe = finished(few, tmp_path / "run")
    (tmp_path / "run/last.ckpt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        train(few.train[:32], recipe, tmp_path / "run", machine=HERE, resume=True)
    (tmp_path / "run/last.ckpt").write_bytes((tmp_path / "run/osnet.pth").read_bytes())
    with pytest.raises(InputError, match="not the state of a run"):
        train(few.train[:32], recipe, tmp_path / "run", machine=HERE, resume=True)
