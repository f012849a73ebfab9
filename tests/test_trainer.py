"""Training runs, on drawn people: they learn, stop, go on, and say what went wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from osnet_edge.bench import RetrievalScores, score_retrieval
from osnet_edge.runtime.errors import CheckError, InputError, InterruptedRunError, UnavailableError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Preprocessing, normalize, resize
from osnet_edge.train.checkpoint import load_osnet
from osnet_edge.train.data import ReidSet, training_pictures
from osnet_edge.train.embed import TorchEmbedder
from osnet_edge.train.loader import TrainingLoader, to_input
from osnet_edge.train.losses import teacher_alignment
from osnet_edge.train.machine import Machine
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.recipe import Augmentation, Recipe
from osnet_edge.train.recipe_file import read_recipe
from osnet_edge.train.run_progress import EpochReport
from osnet_edge.train.sampling import epoch_order, places_in
from osnet_edge.train.synthetic import write_set
from osnet_edge.train.trainer import train
from osnet_edge.train.variants import variant_named

HERE = Machine(device="cpu", workers=0)
#: One of each that a run can have: crops, light and patches, AMSGrad, a falling rate, a frozen start.
CHANGES = [
    "network.height=64",
    "network.width=32",
    "batches.epochs=3",
    "batches.size=8",
    "augmentation.crop=0.5",
    "augmentation.patch=0.5",
    "optimizer.name=amsgrad",
    "schedule.classifier_epochs=1",
]
SMALL = read_recipe("quick", CHANGES)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> ReidSet:
    return write_set(
        tmp_path_factory.mktemp("set") / "people",
        train_identities=40,
        test_identities=20,
        cameras=2,
        pictures_per_camera=4,
        seed=5,
        height=128,
        width=64,
    )


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> ReidSet:
    """People enough for eight steps an epoch."""
    return write_set(
        tmp_path_factory.mktemp("few") / "few",
        train_identities=8,
        test_identities=0,
        cameras=2,
        pictures_per_camera=4,
        seed=6,
        height=128,
        width=64,
    )


def scores(model: OSNet, people: ReidSet, height: int, width: int) -> RetrievalScores:
    embedder = TorchEmbedder(model, Preprocessing(height, width))
    sides = [embedder([embedder.read(item.path) for item in side]) for side in (people.query, people.gallery)]
    labels = [
        [getattr(item, key) for item in side]
        for key in ("identity", "camera")
        for side in (people.query, people.gallery)
    ]
    return score_retrieval(*sides, *labels)


def weights_of(model: OSNet) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def test_a_short_fit_at_least_doubles_the_map_on_people_it_has_not_seen(
    people: ReidSet, tmp_path: Path
) -> None:
    changes = ["network.height=96", "network.width=48", "batches.epochs=10", "batches.size=16"]
    reports: list[EpochReport] = []
    model = train(
        people.train, read_recipe("quick", changes), tmp_path / "run", machine=HERE, report=reports.append
    )
    torch.manual_seed(0)
    before = scores(OSNet(variant_named("osnet_x0_25")).eval(), people, 96, 48)
    after = scores(model, people, 96, 48)
    assert before.rank1 < 0.3
    assert after.mean_ap >= 2 * before.mean_ap
    assert reports[-1].loss < reports[0].loss
    assert [report.epoch for report in reports] == list(range(1, 11))


def test_a_run_leaves_all_that_repeats_it(few: ReidSet, tmp_path: Path) -> None:
    seen: list[int] = []
    model = train(
        few.train,
        SMALL,
        tmp_path / "run",
        machine=HERE,
        facts={"recipe": "quick"},
        test=lambda model, epoch: {"street": {"rank1": 0.5 * (not model.training)}} if epoch == 2 else {},
        progress=lambda count, note: seen.append(count),
    )
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {
        "osnet.pth",
        "last.ckpt",
        "recipe.toml",
        "run.json",
        "events",
        ".lock",
    }
    assert read_recipe(str(run / "recipe.toml")) == SMALL
    record = json.loads((run / "run.json").read_text())
    assert (record["finished"], record["seed"], record["recipe"]) == (True, 0, "quick")
    assert record["versions"]["torch"] == torch.__version__
    assert record["data"]["pictures"] == 64
    assert [epoch["tests"] for epoch in record["epochs"]] == [{}, {"street": {"rank1": 0.5}}, {}]
    assert sum(seen) == 3 * 64
    for name in ("osnet.pth", "last.ckpt"):
        assert torch.equal(weights_of(load_osnet(run / name)), weights_of(model))
    assert any(path.name.startswith("events.out.tfevents") for path in (run / "events").iterdir())


def test_only_the_classifier_learns_at_first(few: ReidSet, tmp_path: Path) -> None:
    states = []
    torch.manual_seed(SMALL.seed)
    states.append(
        {name: value.clone() for name, value in OSNet(variant_named("osnet_x0_25"), 8).state_dict().items()}
    )
    train(
        few.train,
        SMALL,
        tmp_path / "run",
        machine=HERE,
        test=lambda model, epoch: states.append({n: v.clone() for n, v in model.state_dict().items()}) or {},
    )
    changed = [
        {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        for before, after in pairwise(states)
    ]
    assert changed[0] == {"classifier"}
    assert {"conv1", "conv2", "conv5", "fc", "classifier"} <= changed[1]


@pytest.mark.parametrize(
    ("stop_in_step", "workers", "where"),
    [
        # In the frozen start.
        (2, 0, (0, 2)),
        # In the last step of an epoch, which is then closed by the run that goes on.
        (8, 0, (0, 8)),
        # In the first step of another one.
        (9, 0, (1, 1)),
        # In the middle of one, and resumed with workers.
        (14, 2, (1, 6)),
    ],
)
def test_a_run_that_was_stopped_goes_on_to_the_same_weights_bit_for_bit(
    few: ReidSet, tmp_path: Path, stop_in_step: int, workers: int, where: tuple[int, int]
) -> None:
    whole = train(few.train, SMALL, tmp_path / "whole", machine=HERE)
    seen: list[int] = []

    def interrupt(count: int, note: str) -> None:
        seen.append(count)
        if len(seen) == stop_in_step - 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="go on with --resume"):
        train(few.train, SMALL, tmp_path / "run", machine=HERE, progress=interrupt)
    saved = json.loads(torch.load(tmp_path / "run/last.ckpt", weights_only=True)["run"])["progress"]
    assert (saved["epoch"], saved["step"]) == where
    machine = dataclasses.replace(HERE, workers=workers)
    seen.clear()
    resumed = train(
        few.train,
        SMALL,
        tmp_path / "run",
        machine=machine,
        resume=True,
        progress=lambda count, note: seen.append(count),
    )
    assert torch.equal(weights_of(whole), weights_of(resumed))
    # What was done before counts at once.
    assert (seen[0], sum(seen)) == (8 * stop_in_step, 3 * 64)
    records = [json.loads((tmp_path / name / "run.json").read_text())["epochs"] for name in ("whole", "run")]
    figures = [
        [(e["epoch"], e["loss"], e["accuracy"], e["learning_rate"]) for e in epochs] for epochs in records
    ]
    assert figures[0] == figures[1]


def epochs_listed(run: Path) -> int:
    record = run / "run.json"
    return len(json.loads(record.read_text())["epochs"]) if record.exists() else -1


def until(holds: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    """Wait for a process to come to something."""
    deadline = time.monotonic() + 60
    while not holds():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_killed_outright_resumes_from_its_last_checkpoint(few: ReidSet, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "osnet_edge.cli.main", "train", "quick", "--data", str(few.root)]
    command += ["-o", "run", "--workers", "0", *(item for change in CHANGES for item in ("--set", change))]
    # As many threads as the test itself, so that sums are added in the same order.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    until(lambda: epochs_listed(tmp_path / "run") >= 1, running)
    running.kill()
    running.communicate()
    assert not (tmp_path / "run/osnet.pth").exists()
    subprocess.run([*command, "--resume"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    whole = train(few.train, SMALL, tmp_path / "whole", machine=HERE)
    assert torch.equal(weights_of(load_osnet(tmp_path / "run/osnet.pth")), weights_of(whole))


def test_the_same_seed_gives_the_same_weights_and_another_others(few: ReidSet, tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> torch.Tensor:
        recipe = read_recipe("quick", [*CHANGES, "batches.epochs=1", f"seed={seed}"])
        return weights_of(train(few.train[:32], recipe, tmp_path / name, machine=HERE))

    first, again, other = weights("a", 1), weights("b", 1), weights("c", 2)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_batch(few: ReidSet, tmp_path: Path) -> None:
    recipe = read_recipe("quick", [*CHANGES, "optimizer.learning_rate=1e30", "schedule.classifier_epochs=0"])
    with pytest.raises(CheckError, match=r"lower the learning rate"):
        train(few.train, recipe, tmp_path / "run", machine=HERE)
    run = tmp_path / "run"
    bad = json.loads((run / "bad-batch.json").read_text())
    found = re.fullmatch(r"epoch (\d), step (\d)", bad["where"])
    assert found
    epoch, step = (int(number) - 1 for number in found.groups())
    batch = epoch_order([item.identity for item in few.train], recipe.batches, recipe.seed, epoch)[step]
    assert bad["pictures"] == [str(few.train[index].path) for index in batch]
    assert not (run / "osnet.pth").exists()
    # What is there to resume from is still good.
    assert torch.isfinite(weights_of(load_osnet(run / "last.ckpt"))).all()


def test_two_processes_learn_what_one_learns_in_two_parts(few: ReidSet, tmp_path: Path) -> None:
    # Batch norms see half a batch either way, so gradients are the same sums.
    changes = [*CHANGES, "batches.epochs=2", "optimizer.name=sgd", "optimizer.learning_rate=0.05"]
    alone = read_recipe("quick", [*changes, "batches.accumulate=2"])
    one = train(few.train, alone, tmp_path / "one", machine=HERE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        str(port),
    ]
    command += ["-m", "osnet_edge.cli.main", "train", "quick", "--data", str(few.root), "-o", "two"]
    command += [
        "--device",
        "cpu",
        "--workers",
        "0",
        *(item for change in changes for item in ("--set", change)),
    ]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("two/osnet.pth: osnet_x0_25, 8 identities") == 1
    two = load_osnet(tmp_path / "two/osnet.pth")
    for (name, a), (_, b) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=name)
    assert json.loads((tmp_path / "two/run.json").read_text())["machine"]["processes"] == 2


def test_a_run_starts_from_given_weights_and_a_classifier_that_fits(few: ReidSet, tmp_path: Path) -> None:
    recipe = read_recipe("quick", [*CHANGES, "batches.epochs=1", "optimizer.learning_rate=1e-12"])
    for classes, kept in ((8, True), (7, False)):
        given = OSNet(variant_named("osnet_x0_25"), num_classes=classes)
        trained = train(few.train, recipe, tmp_path / str(classes), machine=HERE, weights=given)
        torch.testing.assert_close(trained.conv5.conv.weight, given.conv5.conv.weight)
        assert trained.num_classes == 8
        same = trained.classifier.weight.shape == given.classifier.weight.shape
        assert same == kept
        if kept:
            torch.testing.assert_close(trained.classifier.weight, given.classifier.weight)


def test_weights_of_another_network_are_refused(few: ReidSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected weights of osnet_x0_25, got osnet_x0_5; pass --arch"):
        train(few.train, SMALL, tmp_path / "run", machine=HERE, weights=OSNet(variant_named("osnet_x0_5")))
    assert not (tmp_path / "run").exists()


def test_a_student_sees_people_more_as_its_teacher_does(few: ReidSet, tmp_path: Path) -> None:
    torch.manual_seed(3)
    # Whatever the teacher thinks of them: one that was never trained is as hard to guess.
    teacher = OSNet(variant_named("osnet_x0_5"))
    crops = [read_picture(item.path) for item in few.train]

    def embedded(model: OSNet) -> torch.Tensor:
        return torch.from_numpy(TorchEmbedder(model.eval(), Preprocessing(64, 32))(crops))

    apart = []
    for name, taught in (("alone", None), ("taught", teacher)):
        recipe = read_recipe("quick", [*CHANGES, "batches.epochs=8"])
        student = train(few.train, recipe, tmp_path / name, machine=HERE, teacher=taught)
        apart.append(teacher_alignment(embedded(student), embedded(teacher)).item())
    # Two networks that know nothing of each other are at right angles.
    assert apart[0] == pytest.approx(1, abs=0.1)
    assert apart[1] < apart[0] - 0.1


@pytest.mark.parametrize(
    ("count", "message"),
    [
        # Nothing at all.
        (0, "expected 2 identities or more to train on, got 0"),
        # A single person cannot be told from others.
        (8, "got 1"),
        # Fewer than a batch.
        (10, "expected 16 pictures .* got 10"),
    ],
)
def test_too_little_to_train_on_is_refused_and_nothing_is_written(
    few: ReidSet, tmp_path: Path, count: int, message: str
) -> None:
    recipe = read_recipe("quick", [*CHANGES, "batches.size=16"])
    with pytest.raises(InputError, match=message):
        train(few.train[:count], recipe, tmp_path / "run", machine=HERE)
    assert not (tmp_path / "run").exists()


def finished(few: ReidSet, folder: Path) -> Recipe:
    recipe = read_recipe("quick", [*CHANGES, "batches.epochs=1"])
    train(few.train[:32], recipe, folder, machine=HERE)
    return recipe


@pytest.mark.parametrize(
    ("changes", "pictures", "damage", "message"),
    [
        # The folder is taken, and nobody asked to go on.
        (None, 32, None, "already there; go on with --resume"),
        # Another rate would not lead to the same weights.
        (["optimizer.learning_rate=0.5"], 32, None, "optimizer.learning_rate was 0.0025 and is 0.5"),
        # Other pictures neither.
        ([], 40, None, "made with other pictures"),
        # A file cut short.
        ([], 32, b"PK", "cannot be read"),
        # A checkpoint, and not the state of a run.
        ([], 32, "checkpoint", "not the state of a run"),
    ],
)
def test_what_cannot_be_resumed_is_refused(
    few: ReidSet,
    tmp_path: Path,
    changes: list[str] | None,
    pictures: int,
    damage: bytes | str | None,
    message: str,
) -> None:
    run = tmp_path / "run"
    finished(few, run)
    if damage == "checkpoint":
        (run / "last.ckpt").write_bytes((run / "osnet.pth").read_bytes())
    elif isinstance(damage, bytes):
        (run / "last.ckpt").write_bytes(damage)
    recipe = read_recipe("quick", [*CHANGES, "batches.epochs=1", *(changes or [])])
    with pytest.raises(InputError, match=message):
        train(few.train[:pictures], recipe, run, machine=HERE, resume=changes is not None)


def test_a_finished_run_resumes_to_itself(few: ReidSet, tmp_path: Path) -> None:
    recipe = finished(few, tmp_path / "run")
    before = weights_of(load_osnet(tmp_path / "run/osnet.pth"))
    again = train(few.train[:32], recipe, tmp_path / "run", machine=HERE, resume=True)
    assert torch.equal(before, weights_of(again))


def test_a_picture_that_cannot_be_read_is_named_from_a_worker_too(few: ReidSet, tmp_path: Path) -> None:
    broken = tmp_path / "0001_c1s1_000001_00.jpg"
    broken.write_bytes(b"\xff\xd8 no picture")
    pictures = [*few.train[:16], dataclasses.replace(few.train[16], path=broken)]
    recipe = read_recipe("quick", [*CHANGES, "batches.size=17", "augmentation.patch=0"])
    for workers in (0, 1):
        with pytest.raises(InputError, match=r"0001_c1s1_000001_00.jpg .*data check"):
            train(
                pictures,
                recipe,
                tmp_path / f"run{workers}",
                machine=dataclasses.replace(HERE, workers=workers),
            )


def test_a_picture_that_comes_twice_looks_different_each_time_wherever_an_epoch_is_taken_up(
    few: ReidSet,
) -> None:
    loader = TrainingLoader(few.train, Preprocessing(64, 32), SMALL.augmentation, seed=0)
    order = np.array([[2, 2], [2, 1]])
    first, second = loader.epoch(0, order)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], second[0])
    (again,) = loader.epoch(0, order[1:], places_in(order)[1:])
    assert torch.equal(second, again)


def test_batches_are_preprocessed_as_the_runtime_does(few: ReidSet) -> None:
    how = Preprocessing(96, 48)
    loader = TrainingLoader(few.train[:4], how, Augmentation(flip=0), seed=0)
    (images,) = loader.epoch(0, np.array([[2, 0, 1, 3]]))
    crops = [resize(read_picture(few.train[i].path), 96, 48, how.interpolation) for i in (2, 0, 1, 3)]
    expected = torch.from_numpy(normalize(np.stack(crops), how))
    found = to_input(images, how, torch.device("cpu"))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_cpu_computes_in_bfloat16_where_it_is_asked_to(few: ReidSet, tmp_path: Path) -> None:
    recipe = read_recipe("quick", [*CHANGES, "batches.epochs=2"])
    machine = dataclasses.replace(HERE, precision="bf16")
    reports: list[EpochReport] = []
    model = train(few.train, recipe, tmp_path / "run", machine=machine, report=reports.append)
    assert torch.isfinite(weights_of(model)).all()
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert reports[-1].loss < 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what a machine without a GPU says")
@pytest.mark.parametrize("machine", [Machine(device="cuda"), Machine(device="cpu", precision="fp16")])
def test_what_a_machine_lacks_is_said(few: ReidSet, tmp_path: Path, machine: Machine) -> None:
    with pytest.raises(UnavailableError, match="expected"):
        train(few.train, SMALL, tmp_path / "run", machine=machine)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_the_last_checkpoint_as_it_was(few: ReidSet, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: writing past it fails in the same place."""
    run, listed = tmp_path / "run", tmp_path / "set.csv"
    rows = [f"{item.path},{item.identity},{item.camera}" for item in few.train[:32]]
    listed.write_text("\n".join(["path,identity,camera", *rows]))
    changes = [*CHANGES, "batches.epochs=1"]
    train(training_pictures([str(listed)]), read_recipe("quick", changes), run, machine=HERE)
    before = (run / "last.ckpt").read_bytes()
    script = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "from osnet_edge.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", script, "train", "quick", "--data", str(listed)]
    command += ["-o", str(run), "--resume"]
    command += ["--workers", "0", *(item for change in changes for item in ("--set", change))]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stderr
    assert "error: " in ran.stderr
    assert "Traceback" not in ran.stderr
    assert (run / "last.ckpt").read_bytes() == before
    assert read_recipe(str(run / "recipe.toml")) == read_recipe("quick", changes)
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == [".lock"]


def test_ctrl_c_at_the_prompt_saves_and_says_how_to_go_on(few: ReidSet, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "osnet_edge.cli.main", "train", "quick", "--data", str(few.root)]
    command += ["-o", "run", "--workers", "1", *(item for change in CHANGES for item in ("--set", change))]
    running = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )
    until(lambda: epochs_listed(tmp_path / "run") >= 0, running)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "saved in run/last.ckpt, go on with --resume" in err
    assert "Traceback" not in err
