"""Recipes: typed, shipped, read, changed and written back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.runtime.errors import InputError
from osnet_edge.train.optimizer import rate_factor
from osnet_edge.train.recipe import (
    Augmentation,
    Batches,
    Loss,
    Optimizer,
    Recipe,
    Schedule,
    dump_recipe,
    read_recipe,
    shipped_recipes,
)
from osnet_edge.train.variants import variant_named


def test_shipped_recipes_name_networks_that_exist_and_survive_writing(tmp_path: Path) -> None:
    recipes = shipped_recipes()
    assert {"scratch", "finetune_x0_25", "ibn_x1_0", "ain_x1_0", "multi_source", "quick", "adapt"} <= set(
        recipes
    )
    for name, recipe in recipes.items():
        variant_named(recipe.network.arch)
        assert recipe.about, name
        (tmp_path / "x.toml").write_text(dump_recipe(recipe))
        assert read_recipe(str(tmp_path / "x.toml")) == recipe


@pytest.mark.parametrize(
    ("name", "optimizer", "rate", "batch", "epochs", "milestones", "classifier_epochs"),
    [
        # The paper's, from random weights.
        ("scratch", "sgd", 0.065, 64, 350, (150, 225, 300), 0),
        # The public configurations, from ImageNet's weights.
        ("finetune_x1_0", "amsgrad", 0.0015, 64, 150, (60, 120), 10),
        ("finetune_x1_0_cosine", "amsgrad", 0.0015, 64, 250, (), 10),
        ("finetune_x0_75", "amsgrad", 0.0015, 64, 150, (60, 120), 10),
        ("finetune_x0_5", "amsgrad", 0.003, 128, 180, (80, 160), 10),
        ("finetune_x0_25", "amsgrad", 0.003, 128, 180, (80, 160), 10),
        ("ibn_x1_0", "amsgrad", 0.0015, 64, 150, (60, 120), 10),
        ("ain_x1_0", "amsgrad", 0.0015, 64, 100, (), 10),
        ("multi_source", "amsgrad", 0.0015, 64, 50, (), 10),
    ],
)
def test_recipes_are_the_published_ones(
    name: str,
    optimizer: str,
    rate: float,
    batch: int,
    epochs: int,
    milestones: tuple[int, ...],
    classifier_epochs: int,
) -> None:
    recipe = read_recipe(name)
    assert (recipe.optimizer.name, recipe.optimizer.learning_rate) == (optimizer, rate)
    assert (recipe.batches.size, recipe.batches.epochs) == (batch, epochs)
    assert recipe.schedule.name == ("step" if milestones else "cosine")
    assert (recipe.schedule.milestones, recipe.schedule.classifier_epochs) == (milestones, classifier_epochs)
    assert (recipe.optimizer.weight_decay, recipe.loss.label_smoothing) == (5e-4, 0.1)
    assert recipe.augmentation.erase == 0


def test_changes_apply_in_order_and_take_toml_or_bare_text() -> None:
    changes = [
        "optimizer.name=sgd",
        "schedule.milestones=[2, 4]",
        "seed=3",
        "seed = 4",
        'network.arch="osnet_x1_0"',
    ]
    recipe = read_recipe("quick", changes)
    assert (recipe.optimizer.name, recipe.schedule.milestones) == ("sgd", (2, 4))
    assert (recipe.seed, recipe.network.arch) == (4, "osnet_x1_0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # A field nobody knows.
        ("[optimizer]\nrate = 0.1", "optimizer: unknown field 'rate'; expected only name, learning_rate"),
        # A section nobody knows.
        ("[optimiser]\nname = 'sgd'", "unknown field 'optimiser'"),
        # Of another type.
        ("[batches]\nepochs = 'ten'", "batches.epochs: expected a whole number, got 'ten'"),
        # A choice that is none.
        ("[optimizer]\nname = 'lamb'", "optimizer.name: expected 'sgd' or 'amsgrad' or 'adamw', got 'lamb'"),
        # No number at all.
        ("[optimizer]\nlearning_rate = nan", "learning_rate: expected a finite number"),
        ("[batches]\nsize = 1", "2 images or more"),
        ("[batches]\nsize = 6\naccumulate = 4", "splits into 4 equal parts"),
        ("[schedule]\nmilestones = [5, 2]", "milestones that rise"),
        ("[augmentation]\nflip = 2.0", "augmentation.flip from 0 to 1"),
        # A triplet loss without several images of a person.
        ("[loss]\ntriplet = 1.0", 'sampler = "identities"'),
        ("[batches]\nsampler = 'identities'\nsize = 6", "whole groups of 4"),
        ("seed = -1", "seed of 0 or more"),
        # No TOML.
        ("[batches", "is not TOML"),
        ("\x00", "is not TOML"),
    ],
)
def test_what_is_no_recipe_is_refused_by_the_field(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(InputError, match=r".") as caught:
        read_recipe(str(tmp_path / "x.toml"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("nowhere", [], "no recipe 'nowhere'; give a .toml file or one of adapt, ain_x1_0"),
        ("nowhere.toml", [], "found nothing at nowhere.toml"),
        ("../recipes/quick", [], "no recipe"),
        ("quick", ["seed"], "a change such as"),
        ("quick", ["=3"], "a change such as"),
        ("quick", ["seed.deep=3"], "unknown|expected|section"),
        ("quick", ["batches=3"], "batches: expected an object, got 3"),
    ],
)
def test_what_names_no_recipe_or_field_is_refused(name: str, changes: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_recipe(name, changes)


recipes = st.builds(
    Recipe,
    about=st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20),
    seed=st.integers(0, 2**63 - 1),
    batches=st.builds(Batches, epochs=st.integers(1, 500), size=st.integers(2, 512)),
    augmentation=st.builds(Augmentation, flip=st.floats(0, 1), erase=st.floats(0, 1)),
    optimizer=st.builds(
        Optimizer, name=st.sampled_from(["sgd", "adamw"]), learning_rate=st.floats(1e-9, 1e9)
    ),
    schedule=st.builds(Schedule, milestones=st.sets(st.integers(1, 99)).map(sorted).map(tuple)),
    loss=st.builds(Loss, label_smoothing=st.floats(0, 0.99), teacher=st.floats(0, 10)),
)


@given(recipes)
def test_any_recipe_survives_writing(recipe: Recipe) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(dump_recipe(recipe))
        file.flush()
        assert read_recipe(file.name) == recipe


@pytest.mark.parametrize(
    ("schedule", "epoch", "factor"),
    [
        (Schedule(milestones=(2, 3)), 0.0, 1.0),
        # Within the second epoch nothing has been passed yet.
        (Schedule(milestones=(2, 3)), 1.99, 1.0),
        (Schedule(milestones=(2, 3)), 2.0, 0.1),
        (Schedule(milestones=(2, 3)), 3.5, 0.01),
        (Schedule(name="cosine"), 0.0, 1.0),
        (Schedule(name="cosine"), 2.0, 0.5),
        (Schedule(name="cosine"), 4.0, 0.0),
        (Schedule(name="level"), 3.0, 1.0),
        (Schedule(name="level"), 3.5, 0.5),
        # Half-way up the warm-up.
        (Schedule(name="level", warmup_epochs=2.0), 1.0, 0.5),
        # The very first step still learns.
        (Schedule(name="level", warmup_epochs=2.0), 0.0, 0.01),
    ],
)
def test_rates_go_as_the_schedule_says(schedule: Schedule, epoch: float, factor: float) -> None:
    assert rate_factor(schedule, epoch, 4) == pytest.approx(factor)


@given(
    st.sampled_from(["step", "cosine", "level"]),
    st.integers(1, 50),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 10),
)
def test_rates_stay_between_nothing_and_the_highest(
    name: str, epochs: int, share: float, warmup: float
) -> None:
    schedule = dataclasses.replace(Schedule(milestones=(3, 7)), name=name, warmup_epochs=warmup)
    assert 0 <= rate_factor(schedule, share * epochs, epochs) <= 1
