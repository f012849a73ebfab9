"""Who a synthetic person is: what stays the same about them in every image and on every camera.

The palettes are short and hold near neighbours on purpose (navy and charcoal, beige and cream): under
another camera's light two people in neighbouring colours look alike, so a model has to look at the cut of
the clothes, the pattern, the hair, the bag and the build as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Colour = tuple[int, int, int]
T = TypeVar("T")

SKINS: tuple[Colour, ...] = (
    (246, 214, 190),
    (232, 190, 160),
    (208, 160, 124),
    (168, 118, 84),
    (128, 84, 60),
    (92, 60, 46),
)
HAIRS: tuple[Colour, ...] = (
    (34, 30, 34),
    (58, 42, 36),
    (98, 66, 44),
    (150, 104, 60),
    (206, 168, 104),
    (150, 62, 36),
    (156, 152, 150),
)
CLOTHS: dict[str, Colour] = {
    "black": (42, 42, 48),
    "charcoal": (74, 78, 86),
    "navy": (44, 58, 98),
    "blue": (62, 104, 170),
    "sky": (138, 180, 214),
    "grey": (146, 150, 156),
    "white": (238, 238, 234),
    "cream": (226, 212, 182),
    "beige": (190, 164, 126),
    "brown": (112, 78, 56),
    "burgundy": (122, 40, 54),
    "red": (200, 60, 56),
    "coral": (226, 128, 104),
    "mustard": (212, 162, 58),
    "olive": (106, 110, 64),
    "green": (60, 124, 92),
    "teal": (50, 128, 136),
    "purple": (112, 80, 140),
    "pink": (220, 160, 176),
}
TOPS = tuple(CLOTHS)
BOTTOMS = ("black", "charcoal", "navy", "blue", "grey", "beige", "brown", "olive", "white", "burgundy")
SHOES = ("black", "brown", "white", "grey", "red", "navy")
BAGS = ("black", "charcoal", "navy", "brown", "red", "olive", "teal", "mustard", "beige")

HAIR_STYLES = ("short", "buzz", "bob", "long", "ponytail", "bun", "afro", "bald")
HATS = ("none", "none", "none", "none", "cap", "beanie", "brim")
GARMENTS = ("tee", "shirt", "hoodie", "jacket", "coat", "vest")
PATTERNS = ("plain", "plain", "stripes", "block", "band", "print", "checks")
LEGWEAR = ("slim", "straight", "wide", "shorts", "skirt", "long skirt")
# Past this many, people who differ in two cues get rare.
MOST_PEOPLE = 5000
CARRIED = ("none", "none", "backpack", "backpack", "handbag", "satchel", "tote")


@dataclass(frozen=True)
class Person:
    """What stays the same about one person.

    Attributes:
        stature: height in metres, without hat.
        girth: width of trunk and limbs against the average (1.0).
        shoulders: width of the shoulders against the hips, about 1.0.
        stride: how far this person steps out, 1.0 on average.
        skin: colour of the skin, RGB 0 to 255 like all the colours here.
        hair: colour of the hair.
        hair_style: one of `HAIR_STYLES`.
        hat: one of `HATS`.
        hat_colour: its colour.
        garment: the upper garment, one of `GARMENTS`; "tee" has short sleeves and "vest" none.
        top: its first colour.
        accent: its second colour: stripes, block, print, or what an open jacket shows.
        pattern: one of `PATTERNS`.
        legwear: one of `LEGWEAR`.
        bottom: its colour.
        shoe: colour of the shoes.
        boots: whether the shoes reach over the ankle.
        carried: the bag, one of `CARRIED`.
        bag: its colour.
        left_handed: whether a bag hangs on the left.
    """

    stature: float
    girth: float
    shoulders: float
    stride: float
    skin: Colour
    hair: Colour
    hair_style: str
    hat: str
    hat_colour: Colour
    garment: str
    top: Colour
    accent: Colour
    pattern: str
    legwear: str
    bottom: Colour
    shoe: Colour
    boots: bool
    carried: str
    bag: Colour
    left_handed: bool


def sample_people(count: int, rng: np.random.Generator) -> list[Person]:
    """Draw `count` people, no two of whom look the same.

    Args:
        count: how many, at least 0.
        rng: where the chance comes from; the same state gives the same people.

    Returns:
        The people; any two differ in at least two of the cues that an image shows whole, such as the
        garment, its colours or the legwear.

    Example:
        >>> ada, bob = sample_people(2, np.random.default_rng(0))
        >>> ada != bob
        True
    """
    people: list[Person] = []
    seen: set[tuple[object, ...]] = set()
    while len(people) < count:
        person = sample_person(rng)
        # Two people who share all but one of these cues share one of the tuples that leave a cue out.
        cues = _cues(person)
        partial = {(k, *cues[:k], *cues[k + 1 :]) for k in range(len(cues))}
        if seen.isdisjoint(partial):
            seen |= partial
            people.append(person)
    return people


def sample_person(rng: np.random.Generator) -> Person:
    """Draw one person; see `sample_people` for several who differ."""
    top = _pick(rng, TOPS)
    accent = _pick(rng, [name for name in TOPS if name != top])
    return Person(
        stature=float(np.clip(rng.normal(1.71, 0.09), 1.48, 1.96)),
        girth=float(np.clip(rng.normal(1.0, 0.13), 0.76, 1.38)),
        shoulders=float(rng.uniform(0.9, 1.12)),
        stride=float(rng.uniform(0.75, 1.15)),
        skin=_pick(rng, SKINS),
        hair=_pick(rng, HAIRS),
        hair_style=_pick(rng, HAIR_STYLES),
        hat=_pick(rng, HATS),
        hat_colour=CLOTHS[_pick(rng, TOPS)],
        garment=_pick(rng, GARMENTS),
        top=_dyed(rng, top),
        accent=_dyed(rng, accent),
        pattern=_pick(rng, PATTERNS),
        legwear=_pick(rng, LEGWEAR),
        bottom=_dyed(rng, _pick(rng, BOTTOMS)),
        shoe=CLOTHS[_pick(rng, SHOES)],
        boots=bool(rng.random() < 0.25),
        carried=_pick(rng, CARRIED),
        bag=_dyed(rng, _pick(rng, BAGS)),
        left_handed=bool(rng.random() < 0.5),
    )


def _pick(rng: np.random.Generator, choices: tuple[T, ...] | list[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def _dyed(rng: np.random.Generator, name: str) -> Colour:
    """Shift a palette colour a little: no two navy jackets come from the same vat."""
    red, green, blue = (
        int(np.clip(value + shift, 0, 255))
        for value, shift in zip(CLOTHS[name], rng.integers(-7, 8, 3), strict=True)
    )
    return red, green, blue


def _cues(person: Person) -> tuple[object, ...]:
    """Return what tells a person from afar, colours in steps coarse enough that a dye does not count."""
    coarse = (tuple(value // 32 for value in colour) for colour in (person.top, person.bottom))
    return (*coarse, person.garment, person.pattern, person.legwear, person.carried)
