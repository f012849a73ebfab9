"""Training runs, on drawn people: they learn, stop, go on, and say what went wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from training_runs import CHANGES, HERE, SMALL, weights_of

from osnet_edge.bench import RetrievalScores, score_retrieval
from osnet_edge.runtime.errors import CheckError, InputError, UnavailableError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Preprocessing, normalize, resize
from osnet_edge.train.checkpoint import load_osnet
from osnet_edge.train.data import ReidSet
from osnet_edge.train.embed import TorchEmbedder
from osnet_edge.train.learner import Learner
from osnet_edge.train.loader import TrainingLoader, to_input
from osnet_edge.train.losses import teacher_alignment
from osnet_edge.train.machine import Group, Machine
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.recipe import Augmentation, read_recipe
from osnet_edge.train.run_state import EpochReport
from osnet_edge.train.sampling import epoch_order, places_in, steps_an_epoch
from osnet_edge.train.synthetic import write_set
from osnet_edge.train.trainer import train
from osnet_edge.train.variants import variant_named


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


def scores(model: OSNet, people: ReidSet, height: int, width: int) -> RetrievalScores:
    embedder = TorchEmbedder(model, Preprocessing(height, width))
    sides = [embedder([embedder.read(item.path) for item in side]) for side in (people.query, people.gallery)]
    labels = [
        [getattr(item, key) for item in side]
        for key in ("identity", "camera")
        for side in (people.query, people.gallery)
    ]
    return score_retrieval(*sides, *labels)


def test_a_short_fit_at_least_doubles_the_map_on_people_it_has_not_seen(
    people: ReidSet, tmp_path: Path
) -> None:
    changes = ["network.height=96", "network.width=48", "batches.epochs=6", "batches.size=16"]
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
    assert [report.epoch for report in reports] == list(range(1, 7))


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


def test_a_gradient_that_is_no_number_stops_the_run_before_it_spoils_the_weights(
    few: ReidSet, tmp_path: Path
) -> None:
    """The classifier's weights cancel in the loss, and add up past what float32 holds in the gradient."""
    recipe = read_recipe("quick", [*CHANGES, "schedule.classifier_epochs=0"])
    given = OSNet(variant_named("osnet_x0_25"), num_classes=8)
    with torch.no_grad():
        given.classifier.weight.copy_(torch.tensor([3e38, -3e38] * 4)[:, None].expand(8, 512))
        given.fc[1].weight.fill_(1e-41)
    with pytest.raises(CheckError, match=r"the gradient became (inf|nan) in epoch 1, step 1; .*names"):
        train(few.train, recipe, tmp_path / "run", machine=HERE, weights=given)
    batch = epoch_order([item.identity for item in few.train], recipe.batches, recipe.seed, 0)[0]
    bad = json.loads((tmp_path / "run/bad-batch.json").read_text())
    assert bad["pictures"] == [str(few.train[index].path) for index in batch]


def test_steps_whose_float16_gradients_overflow_are_left_out_and_told(few: ReidSet) -> None:
    """On a CPU, which is slow at it, and knows the same scaler as a GPU."""
    learner = Learner(few.train, SMALL, Machine("cpu", "fp16", workers=0), Group())
    learner.begin_epoch(classifier_only=False)
    learner.scaler.load_state_dict({**learner.scaler.state_dict(), "scale": 2.0**40})
    order = np.arange(8)[None]
    (images,) = TrainingLoader(few.train, learner.preprocessing, SMALL.augmentation, seed=0).epoch(0, order)
    left_out = []
    while not left_out or (left_out[-1] and len(left_out) < 40):
        before = [value.clone() for value in learner.model.parameters()]
        learner.gradients(images, order[0])
        left_out.append(learner.step(1e-3))
        same = [torch.equal(old, new) for old, new in zip(before, learner.model.parameters(), strict=True)]
        assert all(same) == left_out[-1]
    assert len(left_out) > 1
    assert not left_out[-1]


def test_batches_by_identity_are_counted_before_they_come(few: ReidSet, tmp_path: Path) -> None:
    # A person with one image too few for a second group, and one with a single image.
    pictures = [*few.train[:15], *few.train[16:41]]
    recipe = read_recipe("quick", [*CHANGES, "batches.sampler=identities", "loss.triplet=1.0"])
    seen: list[int] = []
    machine = dataclasses.replace(HERE, precision="bf16")
    model = train(
        pictures, recipe, tmp_path / "run", machine=machine, progress=lambda count, note: seen.append(count)
    )
    assert sum(seen) == 3 * 8 * steps_an_epoch([item.identity for item in pictures], recipe.batches)
    assert torch.isfinite(weights_of(model)).all()


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
        (10, "expected 16 images .* got 10"),
    ],
)
def test_too_little_to_train_on_is_refused_and_nothing_is_written(
    few: ReidSet, tmp_path: Path, count: int, message: str
) -> None:
    recipe = read_recipe("quick", [*CHANGES, "batches.size=16"])
    with pytest.raises(InputError, match=message):
        train(few.train[:count], recipe, tmp_path / "run", machine=HERE)
    assert not (tmp_path / "run").exists()


def test_a_picture_that_cannot_be_read_is_named_from_a_worker_too(few: ReidSet, tmp_path: Path) -> None:
    broken = tmp_path / "0001_c1s1_000001_00.jpg"
    broken.write_bytes(b"\xff\xd8 no image")
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
    preprocessing = Preprocessing(96, 48)
    loader = TrainingLoader(few.train[:4], preprocessing, Augmentation(flip=0), seed=0)
    (images,) = loader.epoch(0, np.array([[2, 0, 1, 3]]))
    crops = [
        resize(read_picture(few.train[i].path), 96, 48, preprocessing.interpolation) for i in (2, 0, 1, 3)
    ]
    expected = torch.from_numpy(normalize(np.stack(crops), preprocessing))
    found = to_input(images, preprocessing, torch.device("cpu"))
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
