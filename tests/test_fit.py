"""The plain training loop, on drawn people."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.bench import RetrievalScores, score_retrieval
from osnet_edge.runtime.errors import CheckError, InputError
from osnet_edge.runtime.pictures import read_picture
from osnet_edge.runtime.preprocessing import Preprocessing, normalize, resize
from osnet_edge.train.augment import augment
from osnet_edge.train.data import ReidSet
from osnet_edge.train.fit import EpochReport, FitSettings, fit
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.synthetic import write_set
from osnet_edge.train.variants import variant_named

SMALL = FitSettings(epochs=1, batch=8, height=64, width=32)
X0_25 = variant_named("osnet_x0_25")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> ReidSet:
    return write_set(
        tmp_path_factory.mktemp("set") / "people",
        train_identities=40,
        test_identities=20,
        cameras=2,
        pictures_per_camera=4,
        seed=5,
    )


def scores(model: OSNet, people: ReidSet, height: int, width: int) -> RetrievalScores:
    how = Preprocessing(height, width)
    sides = []
    for side in (people.query, people.gallery):
        crops = [resize(read_picture(item.path), height, width, how.interpolation) for item in side]
        with torch.inference_mode():
            sides.append(model(torch.from_numpy(normalize(np.stack(crops), how))).numpy())
    labels = [
        [getattr(item, key) for item in side]
        for key in ("identity", "camera")
        for side in (people.query, people.gallery)
    ]
    return score_retrieval(*sides, *labels)


def test_a_short_fit_at_least_doubles_the_map_on_people_it_has_not_seen(people: ReidSet) -> None:
    settings = FitSettings(epochs=10, batch=16, height=96, width=48)
    reports: list[EpochReport] = []
    seen = 0

    def progress(count: int) -> None:
        nonlocal seen
        seen += count

    model = fit(people.train, X0_25, settings, progress=progress, report=reports.append)
    torch.manual_seed(settings.seed)
    before = scores(OSNet(X0_25).eval(), people, 96, 48)
    after = scores(model, people, 96, 48)
    assert before.rank1 < 0.3
    assert after.mean_ap >= 2 * before.mean_ap
    assert reports[-1].loss < reports[0].loss
    assert seen == 10 * len(people.train)


def test_the_same_seed_gives_the_same_weights_and_another_others(people: ReidSet) -> None:
    def weights(seed: int) -> torch.Tensor:
        model = fit(people.train[:32], X0_25, dataclasses.replace(SMALL, seed=seed))
        return torch.cat([value.flatten().float() for value in model.state_dict().values()])

    first, again, other = weights(1), weights(1), weights(2)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_a_loss_that_is_no_number_stops_the_run(people: ReidSet) -> None:
    with pytest.raises(CheckError, match=r"the loss became .* lower the learning rate"):
        fit(people.train, X0_25, dataclasses.replace(SMALL, epochs=3, learning_rate=1e30))


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (0, "expected 2 identities and 8 pictures .* got 0 and 0"),  # nothing at all
        (8, "got 1 and 8"),  # a single person cannot be told from others
        (4, "got 1 and 4"),  # fewer than a batch
    ],
)
def test_too_little_to_train_on_is_refused(people: ReidSet, count: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(people.train[:count], X0_25, SMALL)


@given(st.integers(0, 2**32 - 1), st.integers(32, 90), st.integers(32, 60))
def test_augmented_crops_keep_shape_and_type(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    crop = rng.integers(0, 256, (height, width, 3), np.uint8)
    out = augment(crop, rng)
    assert out.shape == crop.shape
    assert out.dtype == np.uint8
