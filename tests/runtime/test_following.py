"""An embedder that follows a link, while frames go through it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fleet import read_heartbeat, two_slots, wait_for

from osnet_edge.runtime import FollowingEmbedder, InputError
from osnet_edge.runtime.embedder import Embedder
from osnet_edge.ship.device.config import Health
from osnet_edge.ship.device.health import watch
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.store import Store

CROPS = [np.full((40, 40, 3), 10 * n, np.uint8) for n in range(1, 4)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return two_slots(tmp_path)


def test_calls_change_engines_between_two_of_them_and_none_is_dropped(store: Store) -> None:
    one, two = (Embedder.load(store.slot(slot))(CROPS) for slot in ("a", "b"))
    stop, results, failures = threading.Event(), [], []

    with FollowingEmbedder(store.link, interval=0.01) as embedder:

        def frames() -> None:
            while not stop.is_set():
                try:
                    results.append(embedder(CROPS))
                except Exception as error:
                    failures.append(error)

        threads = [threading.Thread(target=frames) for _ in range(2)]
        for thread in threads:
            thread.start()
        for slot in ("b", "a", "b"):
            store.flip(slot)
            wait_for(lambda slot=slot: embedder.embedder.package.name == slot)
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    kinds = [
        "one" if np.allclose(each, one) else "two" if np.allclose(each, two) else "?" for each in results
    ]
    assert set(kinds) == {"one", "two"}


def test_an_engine_that_cannot_be_loaded_leaves_the_old_one_and_is_told_of(
    store: Store, tmp_path: Path
) -> None:
    os.truncate(store.slot("b") / "model.onnx", 100)
    heart = tmp_path / "heart"
    with FollowingEmbedder(store.link, interval=0.01, heartbeat=heart) as embedder:
        store.flip("b")
        wait_for(lambda: read_heartbeat(heart)["failed"] != "")
        assert embedder(CROPS).shape == (3, 8)
        assert embedder.embedder.package == store.slot("a")
        told = read_heartbeat(heart)
        assert told["package"] == str(store.slot("b"))
        assert "model.onnx is not the file that was built" in told["failed"]
        store.flip("a")
        wait_for(lambda: read_heartbeat(heart)["failed"] == "")


def test_an_engine_that_failed_to_load_once_is_tried_again(store: Store, tmp_path: Path) -> None:
    model, heart = store.slot("b") / "model.onnx", tmp_path / "heart"
    content = model.read_bytes()
    os.truncate(model, 100)
    with FollowingEmbedder(store.link, interval=0.01, heartbeat=heart) as embedder:
        store.flip("b")
        wait_for(lambda: read_heartbeat(heart)["failed"] != "")
        model.write_bytes(content)
        wait_for(lambda: embedder.embedder.package == store.slot("b"))
        wait_for(lambda: read_heartbeat(heart)["failed"] == "")


def test_a_plain_embedder_stays_with_the_engine_that_the_link_led_to(store: Store) -> None:
    embedder = Embedder.load(store.link)
    store.flip("b")
    assert embedder.package == store.slot("a")
    assert embedder.prove() < 1e-6


def test_a_call_that_fails_is_a_call_and_an_error(store: Store, tmp_path: Path) -> None:
    class Broken:
        def infer(self, batch: np.ndarray) -> np.ndarray:
            raise RuntimeError("out of memory")

    heart = tmp_path / "heart"
    with FollowingEmbedder(store.link, interval=0.01, heartbeat=heart) as embedder:
        object.__setattr__(embedder.embedder, "engine", Broken())
        for _ in range(2):
            with pytest.raises(RuntimeError, match="out of memory"):
                embedder(CROPS)
        wait_for(lambda: read_heartbeat(heart)["errors"] == 2)
        assert read_heartbeat(heart)["calls"] == 2
        # They were the other engine's.
        store.flip("b")
        wait_for(lambda: read_heartbeat(heart)["package"] == str(store.slot("b")))
        assert (read_heartbeat(heart)["calls"], read_heartbeat(heart)["errors"]) == (0, 0)


def leave_out(store: Store, name: str) -> None:
    (store.slot("a") / name).unlink()


def lead(store: Store, target: str) -> None:
    store.link.unlink()
    store.link.symlink_to(target)


BEGINNINGS: dict[str, tuple[Callable[[Store], object], float, str]] = {
    "an empty store": (lambda store: store.flip(None), 0, "(a folder) at STORE/current, got nothing"),
    "none for a while": (
        lambda store: store.flip(None),
        0.05,
        "at STORE/current within 0.05 s, and none came",
    ),
    "a dangling link": (lambda store: lead(store, "slots/c"), 0, "got a link that leads to nothing"),
    "one for a while": (lambda store: lead(store, "slots/c"), 0.05, "within 0.05 s, and none came"),
    "a link to itself": (lambda store: lead(store, "current"), 0, "at STORE/current, got "),
    "a link to a file": (
        lambda store: lead(store, "slots/a/model.onnx"),
        0,
        "found a file at STORE/slots/a/m",
    ),
    "a link to a name too long": (lambda store: lead(store, "x" * 300), 0, "got File name too long"),
    "a link to the store": (lambda store: lead(store, "."), 0, "STORE is no engine package"),
    "a package without model": (
        lambda store: leave_out(store, "model.onnx"),
        0,
        "model.onnx is missing; copy",
    ),
    "a package without manifest": (
        lambda store: leave_out(store, "manifest.json"),
        0,
        "has no manifest.json; make",
    ),
    "a manifest cut short": (
        lambda store: os.truncate(store.slot("a") / "manifest.json", 9),
        0,
        "is not JSON (",
    ),
    "a model cut short": (
        lambda store: os.truncate(store.slot("a") / "model.onnx", 9),
        0,
        "is not the file that",
    ),
}


@pytest.mark.parametrize(("happens", "wait_s", "told"), BEGINNINGS.values(), ids=BEGINNINGS)
def test_there_must_be_an_engine_to_begin_with(
    happens: Callable[[Store], object], wait_s: float, told: str, store: Store
) -> None:
    happens(store)
    with pytest.raises(InputError) as refused:
        FollowingEmbedder(store.link, interval=0.02, wait_s=wait_s)
    said = str(refused.value).replace(str(store.root), "STORE")
    assert told in said
    assert len(said.splitlines()) == 1


def test_only_the_main_thread_can_ask_for_sighup(store: Store) -> None:
    with (
        ThreadPoolExecutor(1) as thread,
        pytest.raises(InputError, match="expected on_hangup in the main thread"),
    ):
        thread.submit(FollowingEmbedder, store.link, on_hangup=True).result()


def test_a_program_can_wait_for_its_first_engine(store: Store, tmp_path: Path) -> None:
    store.flip(None)
    heart = tmp_path / "heart"
    arrival = threading.Timer(0.2, store.flip, ("a",))
    arrival.start()
    with FollowingEmbedder(store.link, interval=0.02, heartbeat=heart, wait_s=60) as embedder:
        assert embedder(CROPS).shape == (3, 8)
        assert read_heartbeat(heart)["package"] == str(store.slot("a"))
    store.flip(None)
    with pytest.raises(InputError, match="expected an engine package"):
        FollowingEmbedder(store.link, interval=0.02, wait_s=0.1)


PROGRAM = """
import sys, time, numpy
from osnet_edge.runtime import FollowingEmbedder
embedder = FollowingEmbedder(sys.argv[1], interval=3600, on_hangup=True)
while True:
    embedder([numpy.zeros((9, 9, 3), numpy.uint8)])
    print(embedder.embedder.package.name, flush=True)
    time.sleep(0.01)
"""


def test_a_program_changes_engines_on_sighup(store: Store) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(store.link)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout
        lines: Iterator[str] = iter(program.stdout)
        assert next(lines) == "a\n"
        store.flip("b")
        assert [next(lines) for _ in range(5)] == ["a\n"] * 5
        program.send_signal(signal.SIGHUP)
        assert any(line == "b\n" for line in lines)
        program.kill()


def watched(store: Store, heart: Path, seconds: float = 0.3) -> str:
    """Watch slot b by a heartbeat; return why it does not do well."""
    health = Health("heartbeat", window_s=seconds, interval_s=0.05, heartbeat=str(heart))
    try:
        watch(health, store.slot("b"), seconds)
    except RefusedError as refused:
        return str(refused)
    return ""


def test_a_heartbeat_tells_of_the_engine_that_a_program_uses(store: Store, tmp_path: Path) -> None:
    heart = tmp_path / "heart"
    assert "no program was using the new engine" in watched(store, heart)
    with FollowingEmbedder(store.link, interval=0.02, heartbeat=heart) as embedder:
        assert "no program was using the new engine" in watched(store, heart)
        store.flip("b")
        wait_for(lambda: read_heartbeat(heart)["package"] == str(store.slot("b")))
        assert watched(store, heart) == ""
        embedder(CROPS)
        with pytest.raises(InputError):
            embedder("no images")
        wait_for(lambda: read_heartbeat(heart)["calls"] == 1)
        assert read_heartbeat(heart)["errors"] == 0
        document = {**read_heartbeat(heart), "errors": 3}
    # It beats while it is watched: what was there before is of before, whatever its time says.
    beat = threading.Timer(0.1, heart.write_text, (json.dumps(document),))
    beat.start()
    assert watched(store, heart) == "3 of 1 calls of the new engine failed in the program that uses it"


def test_a_program_that_lacked_memory_for_an_engine_is_no_word_against_it(
    store: Store, tmp_path: Path
) -> None:
    heart = tmp_path / "heart"
    told = {"package": str(store.slot("b")), "calls": 0, "errors": 0, "failed": "MemoryError()"}
    beat = threading.Timer(0.1, heart.write_text, (json.dumps(told),))
    beat.start()
    with pytest.raises(RefusedError, match="could not change to the new engine: MemoryError") as refused:
        watch(Health("heartbeat", 5, 0.05, heartbeat=str(heart)), store.slot("b"), 5)
    assert refused.value.reason == "limit"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("true",), ""),
        (("sh", "-c", "echo camera is blind >&2; exit 3"), "the health probe sh failed: camera is blind"),
        (("/no/such/probe",), "the health probe /no/such/probe cannot run: No such file or directory"),
    ],
)
def test_a_probe_says_how_an_engine_does(command: tuple[str, ...], why: str, store: Store) -> None:
    health = Health("probe", window_s=0, interval_s=0.05, probe=command)
    if not why:
        watch(health, store.slot("b"), 0.1)
        return
    with pytest.raises(RefusedError) as refused:
        watch(health, store.slot("b"), 0.1)
    assert (refused.value.reason, str(refused.value)) == ("health", why)


@pytest.mark.parametrize("times", [{"interval": math.inf}, {"interval": 0}, {"wait_s": math.nan}])
def test_times_by_which_it_would_never_or_always_look_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(InputError, match="expected an interval of up to 86400 s and a wait_s of 0 or more"):
        FollowingEmbedder("nowhere", **times)  # type: ignore[arg-type]
