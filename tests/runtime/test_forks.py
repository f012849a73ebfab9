"""A process that forks after loading an engine: its child answers too, follows too, and ends."""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from fleet import read_heartbeat, two_slots, wait_for

from osnet_edge.runtime import Embedder, FollowingEmbedder, UnavailableError
from osnet_edge.runtime.processor import this_processor
from osnet_edge.ship.device.store import Store
from osnet_edge.train.synthetic import sample_crops

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

#: Far longer than anything here takes: what is not there by then hangs.
LIMIT_S = 30
CROPS = sample_crops(4, 100, 40)
SMALL = [np.full((40, 40, 3), 10 * n, np.uint8) for n in range(1, 4)]


@contextmanager
def child(work: Callable[[], object]) -> Iterator[int]:
    """Fork a child that does some work; give what its answer is read from, and end it after the block."""
    # Sessions that other tests left in cycles would be ended in the child, where each waits for threads that
    # are not there.
    gc.collect()
    reading, writing = os.pipe()
    with tempfile.TemporaryFile("w+") as trace:
        process = os.fork()
        if not process:
            # Where it stands by then tells why it hangs.
            faulthandler.dump_traceback_later(LIMIT_S / 2, file=trace)
            try:
                answer = work()
            except BaseException as error:
                answer = repr(error)
            os.write(writing, json.dumps(answer).encode())
            os._exit(0)
        os.close(writing)
        try:
            yield reading
        except AssertionError as error:
            tasks = Path(f"/proc/{process}/task").glob("*/syscall")
            calls = {path.parent.name: path.read_text() for path in tasks}
            trace.seek(0)
            raise AssertionError(f"{error}; system calls of its threads: {calls}\n{trace.read()}") from error
        finally:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            os.close(reading)


def answer_of(reading: int) -> object:
    text = b""
    while select.select([reading], [], [], LIMIT_S)[0]:
        part = os.read(reading, 1 << 16)
        if not part:
            return json.loads(text)
        text += part
    raise AssertionError("the child hangs")


def in_child(work: Callable[[], object]) -> object:
    with child(work) as reading:
        return answer_of(reading)


@contextmanager
def in_two_threads(work: Callable[[], object]) -> Iterator[None]:
    """Keep two other threads at some work meanwhile."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.is_set():
            work()

    callers = [threading.Thread(target=repeat) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        yield
    finally:
        stop.set()
        for caller in callers:
            caller.join()


@pytest.fixture(params=["package", "openvino_package", "litert_package"])
def each_package(request: pytest.FixtureRequest) -> Path:
    """A package for each backend that runs on a CPU."""
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.mark.parametrize("follows", [False, True], ids=["stays", "follows"])
@pytest.mark.parametrize("forked", ["before the first call", "after it", "during calls", "during loads"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_child_answers_as_its_parent(each_package: Path, threads: int, forked: str, follows: bool) -> None:
    has_avx512 = "avx512f" in this_processor().features
    if each_package.name == "osnet-openvino" and threads > 1 and not has_avx512:
        # Seen with every answer of CPUID masked, which traps in the child too; not yet tried on such a
        # processor.
        pytest.skip("OpenVINO with two threads and no AVX-512: a child was seen to hang")
    embedder = (
        FollowingEmbedder(each_package, threads=threads)
        if follows
        else Embedder.load(each_package, threads=threads)
    )

    def call() -> object:
        return embedder(CROPS).tolist()

    if forked == "before the first call":
        answers = [in_child(call)]
        expected = call()
    elif forked == "after it":
        expected = call()
        answers = [in_child(call)]
    elif forked == "during calls":
        expected = call()
        with in_two_threads(call):
            answers = [in_child(call) for _ in range(3)]
    else:
        expected = call()
        with in_two_threads(lambda: Embedder.load(each_package, threads=threads)):
            answers = [in_child(call)]
    for answer in answers:
        assert isinstance(answer, list), answer
        np.testing.assert_allclose(answer, expected, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_child_may_change_engines(package: Path, threads: int) -> None:
    """The old one's end must wait for no thread of the parent, or for the new one's in its place."""
    engines = [Embedder.load(package, threads=threads)]
    expected = engines[0](CROPS)

    def change() -> object:
        engines.append(Embedder.load(package, threads=threads))
        engines[1](CROPS)
        del engines[0]
        gc.collect()
        return engines[0](CROPS).tolist()

    answer = in_child(change)
    assert isinstance(answer, list), answer
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_openvino_loads_nothing_in_a_child_of_its_user_and_says_so(openvino_package: Path) -> None:
    """Of two engines loaded at once, OpenVINO keeps threads by which it compiles the next one."""

    def load() -> None:
        Embedder.load(openvino_package, threads=1)

    loads = [threading.Thread(target=load) for _ in range(2)]
    for thread in loads:
        thread.start()
    for thread in loads:
        thread.join()
    embedder = Embedder.load(openvino_package, threads=1)
    expected = embedder(CROPS).tolist()

    def use() -> object:
        with pytest.raises(UnavailableError, match="start workers with multiprocessing's spawn"):
            load()
        return embedder(CROPS).tolist()

    assert in_child(use) == expected


TWO_AT_ONCE = """
import sys, threading
from osnet_edge.runtime import Embedder
def prove():
    Embedder.load(sys.argv[1], threads=1).prove()
threads = [threading.Thread(target=prove) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(7)
"""
ENDS = """
import os, sys, numpy
from osnet_edge.runtime import Embedder
embedder = Embedder.load(sys.argv[1], threads=int(sys.argv[2]))
crops = [numpy.zeros((9, 9, 3), numpy.uint8)] * 4
embedder(crops)
child = os.fork()
if not child:
    embedder(crops)
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
FORKS_IN_A_HANDLER = """
import os, signal, sys, numpy
from osnet_edge.runtime import Embedder
embedder = Embedder.load(sys.argv[1], threads=int(sys.argv[2]))
children = []
def fork(number, frame):
    child = os.fork()
    if not child:
        os._exit(7)
    children.append(child)
signal.signal(signal.SIGALRM, fork)
# In the engine: Python's own pools cannot be interrupted by a handler that forks.
batch = numpy.zeros((32, 256, 128, 3), numpy.uint8)
signal.setitimer(signal.ITIMER_REAL, 0.02)
while not children:
    embedder.infer(batch)
print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
"""


@pytest.mark.parametrize(
    "program",
    [ENDS, FORKS_IN_A_HANDLER, TWO_AT_ONCE],
    ids=["its child exits", "it forks in a handler", "its first calls are two at once"],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_program_ends(each_package: Path, threads: int, program: str) -> None:
    command = [sys.executable, "-c", program, str(each_package), str(threads)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as ran:
        try:
            output, error = ran.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            # With the child, which holds the pipes.
            os.killpg(ran.pid, signal.SIGKILL)
            raise
    assert (ran.returncode, output) == (0, "7\n"), error


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return two_slots(tmp_path)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_child_follows_the_link(store: Store, threads: int) -> None:
    expected = Embedder.load(store.slot("b"))(SMALL)
    with FollowingEmbedder(store.link, threads=threads, interval=0.01) as embedder:
        embedder(SMALL)

        def follow() -> object:
            assert embedder.embedder.package.name == "a"
            store.flip("b")
            wait_for(lambda: embedder.embedder.package.name == "b")
            return embedder(SMALL).tolist()

        np.testing.assert_allclose(in_child(follow), expected, atol=1e-6)  # type: ignore[arg-type]


def test_a_child_that_was_idle_looks_at_once(store: Store) -> None:
    with FollowingEmbedder(store.link, interval=3600) as embedder:

        def idle() -> object:
            store.flip("b")
            embedder(SMALL)
            wait_for(lambda: embedder.embedder.package.name == "b")
            return "changed"

        assert in_child(idle) == "changed"


def test_a_closed_embedder_follows_in_no_child(store: Store) -> None:
    with FollowingEmbedder(store.link, interval=0.01) as embedder:
        pass

    def call() -> object:
        embedder(SMALL)
        embedder.close()
        return [thread.name for thread in threading.enumerate() if "follow" in thread.name]

    assert in_child(call) == []


def test_a_childs_heartbeat_counts_its_own_calls(store: Store, tmp_path: Path) -> None:
    heart = tmp_path / "heart"
    with FollowingEmbedder(store.link, interval=3600, heartbeat=heart) as embedder:
        for _ in range(5):
            embedder(SMALL)

        def call() -> object:
            for _ in range(2):
                embedder(SMALL)
            embedder.look()
            wait_for(
                lambda: (
                    read_heartbeat(heart)["process"] == os.getpid() and read_heartbeat(heart)["calls"] == 2
                )
            )
            return "counted"

        assert in_child(call) == "counted"


def test_no_process_beats_over_another_whose_engine_fails(store: Store, tmp_path: Path) -> None:
    class Broken:
        def infer(self, batch: np.ndarray) -> np.ndarray:
            raise RuntimeError("out of memory")

    heart = tmp_path / "heart"
    with FollowingEmbedder(store.link, interval=0.01, heartbeat=heart) as embedder:

        def serve() -> object:
            while True:
                embedder(SMALL)
                time.sleep(0.01)

        with child(serve):
            wait_for(lambda: read_heartbeat(heart)["process"] != os.getpid())
            object.__setattr__(embedder.embedder, "engine", Broken())
            with pytest.raises(RuntimeError, match="out of memory"):
                embedder(SMALL)
            wait_for(lambda: read_heartbeat(heart)["errors"] == 1)
            # A child that had looked just before may write over it once.
            time.sleep(0.2)
            seen = []
            for _ in range(50):
                seen.append(read_heartbeat(heart)["errors"])
                time.sleep(0.01)
            assert set(seen) == {1}
            # Where the engine is another, it is news again.
            store.flip("b")
            wait_for(lambda: read_heartbeat(heart)["package"] == str(store.slot("b")))
