"""Training recipes as typed data, read from a TOML file and the command line.

Settings of the machine (device, workers) are no part of a recipe: see `osnet_edge.train.machine`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.package.schema import from_json, to_json

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SUFFIX = ".toml"


@dataclass(frozen=True)
class Network:
    """The network and its input.

    Attributes:
        arch: a name that `osnet_edge.train.variants.variant_named` knows.
        height: rows of the images trained on, in pixels.
        width: columns of them.
        start: "weights" for a recipe that starts from a trained network, and is refused without one;
            otherwise "random".
        quantize: "int8" trains with INT8 rounding, see `osnet_edge.train.quantize`; "none" does not.
    """

    arch: str = "osnet_x0_25"
    height: int = 256
    width: int = 128
    start: Literal["random", "weights"] = "random"
    quantize: Literal["none", "int8"] = "none"


@dataclass(frozen=True)
class Batches:
    """How images are put into batches.

    Attributes:
        epochs: passes over the images.
        size: batch size: images of one optimiser step, over all devices.
        sampler: "random" shuffles; "identities" fills a batch with several images each of a few people,
            which a triplet loss needs.
        pictures_per_identity: images of each person in a batch, with "identities".
        accumulate: number of parts into which a batch is split if it does not fit into memory; gradients are
            accumulated, batch norms see one part at a time.
        combineall: whether query and gallery images of the sources are trained on too.
    """

    epochs: int = 60
    size: int = 64
    sampler: Literal["random", "identities"] = "random"
    pictures_per_identity: int = 4
    accumulate: int = 1
    combineall: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        _require(self.epochs >= 1, "epochs of 1 or more", self.epochs)
        _require(self.accumulate >= 1, "accumulate of 1 or more", self.accumulate)
        _require(
            self.pictures_per_identity >= 2, "2 pictures_per_identity or more", self.pictures_per_identity
        )
        part, rest = divmod(self.size, self.accumulate)
        _require(
            part >= 2 and not rest,
            f"a batch size that splits into {self.accumulate} equal parts of 2 images or more, since batch "
            "norm needs 2,",
            self.size,
        )
        if self.sampler == "identities":
            wanted = f"parts of a batch that hold whole groups of {self.pictures_per_identity} images,"
            _require(part % self.pictures_per_identity == 0, wanted, f"{part} images a part")

    def require_divisible(self, processes: int) -> None:
        """Check that a batch can be divided evenly among the processes.

        Raises:
            InputError: it cannot.
        """
        unit = processes * self.accumulate
        if self.sampler == "identities":
            unit *= self.pictures_per_identity
        if self.size % unit or self.size // (processes * self.accumulate) < 2:
            raise InputError(
                f"expected a batch size that {processes} processes can share, a multiple of {unit} of 2 "
                f"images or more each; got {self.size}"
            )


@dataclass(frozen=True)
class Augmentation:
    """Random augmentation of training images; a value is a probability or a strength, and 0 switches it off.

    Attributes:
        flip: probability of a horizontal flip.
        crop: probability of a random crop: the image is enlarged by an eighth and cropped to its old size.
        shift: largest shift in each direction, as a share of the height; edges are repeated.
        brightness: largest relative change of the brightness.
        contrast: the same of the contrast.
        saturation: the same of the saturation.
        cast: the same of each colour channel by itself, as under other light.
        erase: probability of random erasing (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020).
        patch: probability of pasting a patch of another image (the paper's random patch).
    """

    flip: float = 0.5
    crop: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    cast: float = 0.0
    erase: float = 0.0
    patch: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values outside [0, 1]."""
        for name, value in vars(self).items():
            _require(0 <= value <= 1, f"augmentation.{name} from 0 to 1", value)


@dataclass(frozen=True)
class Optimizer:
    """The optimiser.

    Attributes:
        name: "sgd" with momentum, "amsgrad" (Adam with AMSGrad; Reddi et al., ICLR 2018), or "adamw"
            (decoupled weight decay).
        learning_rate: the highest learning rate.
        weight_decay: per unit of the learning rate.
        momentum: of SGD; the others use betas of 0.9 and 0.999.
        decay_norms: whether norms and biases decay too, as in the public recipes.
    """

    name: Literal["sgd", "amsgrad", "adamw"] = "amsgrad"
    learning_rate: float = 0.0015
    weight_decay: float = 5e-4
    momentum: float = 0.9
    decay_norms: bool = True

    def __post_init__(self) -> None:
        """Refuse rates that cannot train."""
        _require(0 < self.learning_rate < math.inf, "a learning_rate above 0", self.learning_rate)
        _require(0 <= self.weight_decay < math.inf, "a weight_decay of 0 or more", self.weight_decay)
        _require(0 <= self.momentum < 1, "a momentum from 0 to below 1", self.momentum)


@dataclass(frozen=True)
class Schedule:
    """The learning-rate schedule.

    Attributes:
        name: "step" multiplies the rate by `factor` at each milestone; "cosine" anneals it to 0; "level"
            keeps it constant, and lets it fall to 0 in the last quarter.
        milestones: epochs after which "step" acts.
        factor: of "step".
        warmup_epochs: warm-up: epochs in which the rate rises from near 0; may be a fraction.
        classifier_epochs: epochs at the start in which only the classifier learns, so that its first random
            gradients do not spoil the pretrained weights.
    """

    name: Literal["step", "cosine", "level"] = "step"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    warmup_epochs: float = 0.0
    classifier_epochs: int = 0

    def __post_init__(self) -> None:
        """Refuse negative or falling numbers of epochs."""
        rising = all(a < b for a, b in zip(self.milestones, self.milestones[1:], strict=False))
        _require(rising and min(self.milestones, default=1) >= 1, "milestones that rise", self.milestones)
        _require(0 < self.factor <= 1, "a factor above 0, up to 1", self.factor)
        _require(0 <= self.warmup_epochs < math.inf, "warmup_epochs of 0 or more", self.warmup_epochs)
        _require(self.classifier_epochs >= 0, "classifier_epochs of 0 or more", self.classifier_epochs)


@dataclass(frozen=True)
class Loss:
    """The loss function.

    Attributes:
        classifier: weight of the classifier's cross-entropy; 0 uses no identities, and then a teacher is
            needed.
        label_smoothing: label smoothing, as the share of the target that is spread over all identities
            (Szegedy et al., CVPR 2016).
        triplet: weight of the batch-hard triplet loss; 0 leaves it out.
        triplet_margin: its margin, a Euclidean distance.
        teacher: weight of the distillation loss, see `osnet_edge.train.losses.teacher_alignment`; used if a
            teacher is given.
    """

    classifier: float = 1.0
    label_smoothing: float = 0.1
    triplet: float = 0.0
    triplet_margin: float = 0.3
    teacher: float = 5.0

    def __post_init__(self) -> None:
        """Refuse weights out of range."""
        _require(0 <= self.label_smoothing < 1, "label_smoothing from 0 to below 1", self.label_smoothing)
        for name in ("classifier", "triplet", "triplet_margin", "teacher"):
            value = getattr(self, name)
            _require(0 <= value < math.inf, f"loss.{name} of 0 or more", value)


@dataclass(frozen=True)
class Recipe:
    """A training recipe.

    Attributes:
        about: its source, in one sentence.
        seed: of weights, order and augmentation.
        distance: distance between embeddings when it is tested, "cosine" or "euclidean".
    """

    about: str = ""
    seed: int = 0
    distance: Literal["cosine", "euclidean"] = "cosine"
    network: Network = field(default_factory=Network)
    batches: Batches = field(default_factory=Batches)
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    loss: Loss = field(default_factory=Loss)

    def require_no_weights(self) -> None:
        """Check that a run may start from random weights.

        Raises:
            InputError: the recipe starts from a trained network.
        """
        if self.network.quantize != "none":
            raise InputError(
                "expected --weights with --quantize, got none; give the float network to quantise"
            )
        if self.network.start == "weights":
            raise InputError(
                "expected --weights with this recipe, which goes on from a trained network, got none; give a "
                "checkpoint, or --set network.start=random to begin with random weights all the same"
            )

    def __post_init__(self) -> None:
        """Check what depends on several sections."""
        _require(0 <= self.seed < 2**63, "a seed of 0 or more, below 2**63,", self.seed)
        if self.loss.triplet and self.batches.sampler != "identities":
            raise InputError(
                'expected batches.sampler = "identities" with a triplet loss, which compares images of one '
                f"person within a batch; got {self.batches.sampler!r}"
            )


def _require(holds: bool, expected: str, got: object) -> None:
    if not holds:
        raise InputError(f"expected {expected}; got {got}".replace(",;", ","))


def shipped_recipes() -> dict[str, Recipe]:
    """Return the recipes that come with osnet-edge, by name."""
    folder = files("osnet_edge.train") / "recipes"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(_SUFFIX))
    return {name.removesuffix(_SUFFIX): read_recipe(name.removesuffix(_SUFFIX)) for name in names}


def read_recipe(name: str, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe, and apply changes to it.

    Args:
        name: name of a shipped recipe, or path of a `.toml` file.
        changes: assignments such as `optimizer.learning_rate=0.001`, with the value as in TOML; quotes around
            text may be left out.

    Raises:
        InputError: there is no such recipe, it is not TOML, or a field is unknown or has the wrong type.

    Example:
        >>> read_recipe("finetune_x0_25", ["batches.epochs=5"]).batches.epochs
        5
    """
    document, where = _read(name)
    for change in changes:
        _apply(document, change)
    return from_json(Recipe, document, where)


def dump_recipe(recipe: Recipe) -> str:
    """Return the TOML text from which `read_recipe` gives the same recipe."""
    import tomli_w

    return tomli_w.dumps(to_json(recipe))


def _read(name: str) -> tuple[dict[str, Any], str]:
    shipped = files("osnet_edge.train") / "recipes"
    if name.endswith(_SUFFIX):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"expected a recipe file, found nothing at {name}; {_choices()}")
        content = path.read_bytes()
    elif (shipped / f"{name}{_SUFFIX}").is_file() and name.isidentifier():
        content = (shipped / f"{name}{_SUFFIX}").read_bytes()
    else:
        raise InputError(f"there is no recipe {name!r}; {_choices()}")
    try:
        return tomllib.loads(content.decode("utf-8")), name
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{name} is not TOML ({error}); see the shipped recipes for how one looks") from None


def _choices() -> str:
    folder = files("osnet_edge.train") / "recipes"
    names = sorted(
        item.name.removesuffix(_SUFFIX) for item in folder.iterdir() if item.name.endswith(_SUFFIX)
    )
    return f"give a .toml file or one of {', '.join(names)}"


def _apply(document: dict[str, Any], change: str) -> None:
    """Set one field; a value that is not TOML is taken as text, so that quotes may be left out."""
    key, equals, text = change.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(part.isidentifier() for part in parts):
        raise InputError(f"expected a change such as optimizer.learning_rate=0.001, got {change!r}")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        value = text.strip()
    table = document
    for part in parts[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise InputError(
                f"expected a change such as optimizer.learning_rate=0.001, but {part} is no section"
            )
        table = inner
    table[parts[-1]] = value
