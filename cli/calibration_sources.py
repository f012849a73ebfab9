"""Where `calibrate` draws from: re-ID sets, and images of people with identities or without."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from osnet_edge.cli.progress import bar
from osnet_edge.runtime.errors import InputError

if TYPE_CHECKING:
    from osnet_edge.engines.calibration import Candidate


def parse(given: Iterable[str]) -> tuple[str, ...]:
    """Return the names of all sets; each value of the option may name several."""
    from osnet_edge.train.data import parse_specs

    return tuple(spec for each in given for spec in parse_specs(each))


def read_candidates(
    data: Sequence[str], frames: Sequence[str], detections: Sequence[str], crops: Sequence[str]
) -> list[Candidate]:
    """Read the images to draw from; different sources never share people or cameras.

    Args:
        data: re-ID sets.
        frames: folders of frames; in the MOT17 layout, unless there are detections.
        detections: files of boxes without identities, one for each of the frames.
        crops: folders of crops without identities.

    Raises:
        InputError: there is no source, there are not as many detections as frames, a source is wrong, or
            crops are also images of a set.
    """
    from osnet_edge.engines.calibration import UNKNOWN, Candidate
    from osnet_edge.train.data import training_pictures
    from osnet_edge.train.data.boxed_frames import read_boxed_frames
    from osnet_edge.train.data.unlabelled import read_crops, read_detections

    if not (data or frames or detections or crops):
        raise InputError(
            "expected --data with a re-ID set, or --frames with frames and boxes, or --crops with images of "
            "people, got none of them"
        )
    if detections and len(detections) != len(frames):
        raise InputError(
            f"expected a --detections for each --frames, in the same order, got {len(detections)} for "
            f"{len(frames)}"
        )
    # If splits are drawn, `eval` tests on those of seed 0, whatever seed draws our images.
    labelled = training_pictures(parse(data)) if data else ()
    boxed = read_boxed_frames(frames) if frames and not detections else ()
    detected = read_detections(list(zip(frames, detections, strict=True))) if detections else ()
    unnamed = read_crops(crops) if crops else ()
    named = {p.path.resolve() for p in labelled}
    if both := [p.path for p in unnamed if p.path.resolve() in named]:
        raise InputError(
            f"expected other images in --crops than in --data, which may be held out, but {len(both):,} are "
            f"the same, such as {both[0]}; leave out one of the two"
        )
    return _apart(
        [Candidate(p.path, p.identity, p.camera) for p in labelled],
        [Candidate(p.path, p.identity, p.camera, p.box) for p in boxed],
        [Candidate(p.path, UNKNOWN, p.camera, p.box) for p in detected],
        [Candidate(p.path, UNKNOWN, p.camera) for p in unnamed],
    )


def _apart(*sources: Sequence[Candidate]) -> list[Candidate]:
    """Return the images of all sources, with numbers of people and cameras that no two of them share."""
    from osnet_edge.engines.calibration import UNKNOWN

    found: list[Candidate] = []
    people = cameras = 0
    for source in sources:
        for each in source:
            identity = UNKNOWN if each.identity == UNKNOWN else people + each.identity
            found.append(replace(each, identity=identity, camera=cameras + each.camera))
        people += len({each.identity for each in source} - {UNKNOWN})
        cameras += len({each.camera for each in source})
    return found


def refuse_tested(candidates: Sequence[Candidate], exclude: Sequence[str]) -> tuple[str, ...]:
    """Check that no image is a byte-exact copy of a query or gallery image of a set; return the sets.

    Raises:
        InputError: one is, or there is none to compare with.
    """
    from osnet_edge.runtime.files import sha256_of
    from osnet_edge.train.data import open_sets

    specs = parse(exclude)
    splits = [split for spec in specs for split in open_sets(spec)]
    tested = {p.path for split in splits for p in (*split.query, *split.gallery)}
    if specs and not tested:
        raise InputError(f"expected query or gallery images in {', '.join(specs)}, found none to exclude")
    ours = dict.fromkeys(c.path for c in candidates)
    if not tested:
        return specs
    with bar("comparing", len(tested) + len(ours)) as advance:

        def hashed(path: Path) -> str:
            advance(1)
            return sha256_of(path)

        hashes = {hashed(path) for path in tested}
        both = [path for path in ours if hashed(path) in hashes]
    if both:
        raise InputError(
            f"expected no image of a query or gallery of {', '.join(specs)} to calibrate with, but "
            f"{len(both):,} of {len(ours):,} are, such as {both[0]}; draw from another set"
        )
    return specs
