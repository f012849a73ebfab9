"""A site that several cameras watch: who walks where and when, what hides them, and how each camera wavers.

People pass through one camera after another, are hidden behind a screen or others for seconds, leave, and
come back to the same or another camera. Cameras shake, lose frames, and see the light change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import hypot, pi

import numpy as np
from numpy.typing import NDArray

from osnet_edge.train.synthetic.camera import Camera, sample_cameras
from osnet_edge.train.synthetic.person import Person, sample_people
from osnet_edge.train.synthetic.places import Place
from osnet_edge.train.synthetic.props import SCREEN_HEIGHT, SCREEN_WIDTH
from osnet_edge.train.synthetic.stage import Box, Prop, Walker
from osnet_edge.train.synthetic.style import restyle

#: Metres to the right of the image's middle, and metres away from the camera.
Spot = tuple[float, float]
#: Seconds that somebody is out of sight between two visits.
_AWAY = (2.0, 9.0)
#: How many of the visits go to another camera than the one before, where there is one.
_ELSEWHERE = 0.6
#: Frames that are lost: how often a loss begins, and how many frames it takes at most.
_LOSSES, _LONGEST_LOSS = 0.02, 5


@dataclass(frozen=True)
class Visit:
    """One walk through a camera's view, from one side to a side.

    Attributes:
        person: index of who walks.
        camera: index of the camera.
        spots: where the legs of the walk begin and end.
        times: seconds at which they are reached; two of one spot are a stop there.
        reach: how far each step goes, see `Gait`.
    """

    person: int
    camera: int
    spots: tuple[Spot, ...]
    times: tuple[float, ...]
    reach: float

    def at(self, seconds: float, who: Person, place: Place) -> Walker | None:
        """Return the walker as the camera sees them at a time, None before and after the visit."""
        if not self.times[0] <= seconds < self.times[-1]:
            return None
        leg = int(np.searchsorted(self.times, seconds, side="right")) - 1
        (x0, z0), (x1, z1) = self.spots[leg], self.spots[leg + 1]
        begin, end = self.times[leg], self.times[leg + 1]
        part = (seconds - begin) / (end - begin)
        across, away = x0 + part * (x1 - x0), z0 + part * (z1 - z0)
        still = (x0, z0) == (x1, z1)
        if still:
            # As they came; a stop is never the first leg.
            (x0, z0), (x1, z1) = self.spots[leg - 1], self.spots[leg]
        walked = sum(
            hypot(b[0] - a[0], b[1] - a[1])
            for a, b in zip(self.spots[:leg], self.spots[1 : leg + 1], strict=True)
        ) + hypot(across - self.spots[leg][0], away - self.spots[leg][1])
        reach = 0.1 if still else self.reach
        return Walker.on_ground(who, place, (across, away), (x1 - x0, z1 - z0), walked, reach)


@dataclass(frozen=True)
class Moment:
    """What one camera delivers at one time.

    Attributes:
        walkers: who is in view, by identity counted from 1.
        screen: what stands in the way.
        shift: pixels right and down by which the image has been shaken.
        light: factor on the light.
    """

    walkers: dict[int, Walker]
    screen: Prop
    shift: tuple[int, int]
    light: float


class Site:
    """Cameras, and the people who walk through them.

    Args:
        cameras: how many.
        people: how many.
        size: width and height of a frame in pixels.
        seconds: how long it lasts.
        rate: frames to a second.
        seed: the same seed gives the same site.
        style: the manner that all cameras share.
    """

    def __init__(
        self,
        *,
        cameras: int,
        people: int,
        size: tuple[int, int],
        seconds: float,
        rate: float,
        seed: int,
        style: str,
    ):
        self.rate = rate
        drawn = sample_cameras(cameras, size, np.random.default_rng([seed, 1]))
        self.cameras: list[Camera] = [restyle(camera, style) for camera in drawn]
        self.people = sample_people(people, np.random.default_rng([seed, 0]))
        self.visits = [
            visit
            for person in range(people)
            for visit in _walks(person, self.cameras, seconds, np.random.default_rng([seed, 2, person]))
        ]
        self._screens = [
            _screen(camera, np.random.default_rng([seed, 3, k])) for k, camera in enumerate(self.cameras)
        ]
        count = round(seconds * rate)
        #: For each camera, the numbers of the moments whose frames arrive.
        self.arrived = [_arrived(count, np.random.default_rng([seed, 4, k])) for k in range(cameras)]
        self._shifts = [_shake(count, size[1], np.random.default_rng([seed, 5, k])) for k in range(cameras)]
        self._light = [_light(count, rate, np.random.default_rng([seed, 6, k])) for k in range(cameras)]

    def at(self, camera: int, moment: int) -> Moment:
        """Return what a camera sees at a moment, counted from 0."""
        place = self.cameras[camera].place
        walkers = {}
        for visit in self.visits:
            if visit.camera == camera:
                walker = visit.at(moment / self.rate, self.people[visit.person], place)
                if walker is not None:
                    walkers[visit.person + 1] = walker
        right, down = self._shifts[camera][moment].tolist()
        return Moment(walkers, self._screens[camera], (right, down), float(self._light[camera][moment]))

    def lit(self, camera: int, light: float) -> Camera:
        """Return a camera in another light."""
        seen = self.cameras[camera]
        red, green, blue = seen.look.gain
        return replace(seen, look=replace(seen.look, gain=(red * light, green * light, blue * light)))


def screen_box(place: Place, screen: Prop) -> Box:
    """Return the box (x1, y1, x2, y2 in pixels) that a screen covers."""
    scale = place.scale_at(screen.row)
    half = 0.5 * SCREEN_WIDTH * scale
    return screen.x - half, screen.row - SCREEN_HEIGHT * scale, screen.x + half, screen.row


def _walks(person: int, cameras: list[Camera], seconds: float, rng: np.random.Generator) -> list[Visit]:
    visits: list[Visit] = []
    camera = int(rng.integers(len(cameras)))
    # Some are there when it begins: the first visit may have begun before.
    time = float(rng.uniform(-6.0, 0.4 * seconds))
    while time < seconds:
        visits.append(_visit(person, camera, cameras[camera].place, time, rng))
        time = visits[-1].times[-1] + float(rng.uniform(*_AWAY))
        if len(cameras) > 1 and rng.random() < _ELSEWHERE:
            camera = int((camera + rng.integers(1, len(cameras))) % len(cameras))
    return visits


def _visit(person: int, camera: int, place: Place, begin: float, rng: np.random.Generator) -> Visit:
    spots = [_edge(place, rng)]
    for _ in range(int(rng.integers(1, 3))):
        spots.append(_inside(place, rng))
        if rng.random() < 0.3:
            spots.append(spots[-1])
    spots.append(_edge(place, rng))
    speed = float(rng.uniform(0.9, 1.7))
    times = [begin]
    for (x0, z0), (x1, z1) in pairwise(spots):
        length = hypot(x1 - x0, z1 - z0)
        times.append(times[-1] + (max(length, 0.2) / speed if length else float(rng.uniform(0.8, 2.5))))
    return Visit(person, camera, tuple(spots), tuple(times), float(rng.uniform(0.75, 1.0)))


def _edge(place: Place, rng: np.random.Generator) -> Spot:
    """Return a spot half a metre out of view, left or right."""
    away = _away(place, rng)
    side = 1.0 if rng.random() < 0.5 else -1.0
    return side * (0.5 * place.size[0] * away / place.focal + 0.5), away


def _inside(place: Place, rng: np.random.Generator) -> Spot:
    away = _away(place, rng)
    return float(rng.uniform(-0.38, 0.38)) * place.size[0] * away / place.focal, away


def _away(place: Place, rng: np.random.Generator) -> float:
    return place.away_at(float(rng.uniform(place.far, place.near)))


def _screen(camera: Camera, rng: np.random.Generator) -> Prop:
    """Place a screen, with room to walk before and behind it."""
    place = camera.place
    row = float(rng.uniform(0.75, 0.82)) * place.size[1]
    return Prop("screen", float(rng.uniform(0.3, 0.7)) * place.size[0], row, float(rng.random()))


def _arrived(count: int, rng: np.random.Generator) -> list[int]:
    lost: set[int] = set()
    for moment in range(1, count):
        if rng.random() < _LOSSES:
            lost |= set(range(moment, moment + int(rng.integers(1, _LONGEST_LOSS + 1))))
    return [moment for moment in range(count) if moment not in lost]


def _shake(count: int, height: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return pixels right and down for each moment: a sway that comes back, and now and then a knock."""
    sway = np.zeros(2)
    shifts = np.empty((count, 2))
    for moment in range(count):
        knock = 0.02 * height * rng.normal(size=2) if rng.random() < 0.02 else 0.0
        sway = 0.8 * sway + 0.0015 * height * rng.normal(size=2) + knock
        shifts[moment] = sway
    return np.asarray(shifts.round(), np.int64)


def _light(count: int, rate: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a factor for each moment: clouds that pass, and one time at which a lamp is switched."""
    seconds = np.arange(count) / rate
    clouds = 1 + 0.12 * np.sin(2 * pi * (seconds / float(rng.uniform(8, 20)) + float(rng.random())))
    lamp = np.where(np.arange(count) < rng.uniform(0.25, 0.75) * count, 1.0, float(rng.uniform(0.75, 1.2)))
    return np.asarray(clouds * lamp)
