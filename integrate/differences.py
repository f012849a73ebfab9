"""In which parts a configuration's pipeline is not what its graph expects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from osnet_edge.integrate.consumers.base import Configuration, Consumer, Fault
from osnet_edge.integrate.pipeline import Pipeline


@dataclass(frozen=True)
class Part:
    """What a configuration decides of a pipeline, as one thing to be right or wrong.

    Attributes:
        name: for people, and as `Consumer.keys` has it.
        attributes: of `Pipeline`.
        why: what comes of a wrong one.
        runs: whether a network still computes something with a wrong one.
    """

    name: str
    attributes: tuple[str, ...]
    why: str
    runs: bool = True


PARTS = (
    Part("input size", ("height", "width"), "the network gets images of a size that it was not made for"),
    Part("layout", ("layout",), "channels are taken for rows", runs=False),
    Part("input type", ("dtype",), "numbers of one type are read as another", runs=False),
    Part(
        "normalisation",
        ("scale", "offsets"),
        "brightness and contrast are not those of training",
    ),
    Part("colour order", ("color",), "red and blue are exchanged"),
    Part("aspect ratio", ("keep_aspect",), "people are padded with black, and not stretched as in training"),
    Part("resize filter", ("filter",), "the nearest pixel is taken, and the rest of the crop left out"),
    Part("row normalisation", ("normalized",), "similarity depends on the length of embeddings"),
    Part("embedding size", ("size",), "not all floats of an embedding are read", runs=False),
)


def differences(consumer: Consumer, read: Configuration, expected: Pipeline) -> Iterator[tuple[str, Fault]]:
    """Yield the parts in which a configuration's pipeline is not what its graph expects."""
    # A graph that takes bytes is one mistake: floats are written over it, and nothing else need be corrected.
    bytes_wanted = expected.dtype != read.pipeline.dtype
    for part in PARTS:
        if bytes_wanted and part.name in ("layout", "normalisation", "input size"):
            continue
        if all(read.pipeline.same(expected, each) for each in part.attributes):
            continue
        if part.name == "embedding size" and read.pipeline.size is None:
            continue
        if part.name == "resize filter" and part.name not in consumer.keys:
            # Nobody can change it, and it costs next to nothing.
            continue
        if part.name == "input size" and read.pipeline.layout != expected.layout:
            # Dimensions in another order, which the layout tells already.
            continue
        wrong = {each: getattr(read.pipeline, each) for each in part.attributes}
        keys = consumer.keys.get(part.name, ())
        values = consumer.spell(expected, part.name) if keys else None
        changes: dict[str, Any] = dict(zip(keys, values, strict=True)) if values else {}
        yield (
            part.name,
            Fault(
                keys=keys,
                found=_shown(read.pipeline, part),
                expected=_shown(expected, part) + ("" if changes else _NO_KEY),
                why=part.why,
                changes=changes,
                pipeline=replace(expected, **wrong) if part.runs and read.pipeline.has_pixels else None,
            ),
        )


#: Behind what is expected, where only another graph can correct it.
_NO_KEY = ", which no key can say: osnet-edge integrate writes a graph that fits"


def _shown(pipeline: Pipeline, part: Part) -> str:
    """Return the attributes of a part for people."""
    if part.name == "input size":
        return f"{pipeline.height}x{pipeline.width}"
    if part.name == "normalisation":
        scale = "/".join(f"{value:.6g}" for value in dict.fromkeys(pipeline.scale))
        return f"scale {scale}, offsets {'/'.join(f'{value:g}' for value in pipeline.offsets)}"
    value = getattr(pipeline, part.attributes[0])
    words = {
        "aspect ratio": {True: "kept", False: "not kept"},
        "row normalisation": {True: "rows of length 1", False: "rows as they come"},
    }
    return str(words.get(part.name, {}).get(value, value))
