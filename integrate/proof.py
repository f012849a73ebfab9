"""What a consumer will compute from the files that were written, held to what the package computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from osnet_edge.engines.graph.float16 import check_overflow
from osnet_edge.integrate.consumers.base import Consumer
from osnet_edge.integrate.differences import differences
from osnet_edge.integrate.emulation import Network, Reference, halved, unit
from osnet_edge.integrate.source import Source
from osnet_edge.runtime.errors import CheckError
from osnet_edge.runtime.package.golden import hold_to_golden
from osnet_edge.runtime.precisions import PRECISIONS
from osnet_edge.runtime.preprocessing import Picture

#: Largest difference of a number of two embeddings of length 1.
LIMIT = 1e-5


@dataclass(frozen=True)
class Proof:
    """How a consumer's embeddings differ from the package's, on the same crops.

    Attributes:
        difference: largest of a number of an embedding of length 1, with the crops resized as the consumer
            does.
        resize: largest cosine distance to the embedding of the crop as the package resizes it.
        float16: largest mean-centred cosine distance of the graph in float16; None where it is in float32.
    """

    difference: float
    resize: float
    float16: float | None = None


def prove(consumer: Consumer, config: Path, graph: Path, source: Source, crops: Sequence[Picture]) -> Proof:
    """Read a configuration back, do to crops what it says, and compare embeddings.

    Args:
        consumer: whose it is.
        config: as it was written.
        graph: that was written for it; the configuration may name it where it is to be copied.
        source: the network that it was written for.
        crops: H x W x 3 uint8 RGB arrays of any sizes; a few are enough.

    Raises:
        CheckError: embeddings differ by more than `LIMIT`, or the configuration is found to have a mistake.
    """
    read = consumer.read(config, source.info.model.embedding_size)
    how = source.info.preprocessing
    network = Network.of(graph, how)
    wrong = [*read.faults, *(fault for _, fault in differences(consumer, read, network.pipeline))]
    if wrong:
        raise CheckError(
            f"{config.name} has a mistake: {wrong[0].why}; nothing was written. Please report this"
        )
    rows = network.embed(crops, read.pipeline)
    own = source.embed(crops)
    if consumer.exact_resize:
        difference = float(np.abs(rows - own).max())
    else:
        pixels = read.pipeline.pixels(crops, how.interpolation)
        same_pixels = Reference(source).rows(halved(pixels, how.width))
        difference = float(np.abs(rows - unit(same_pixels, read.pipeline)).max())
    if not difference <= LIMIT and source.quantized and not consumer.exact_resize:
        # Division by 255 moves last digits, and a value between two steps of eight bits to either of them.
        hold_to_golden(rows, unit(same_pixels, read.pipeline), PRECISIONS["int8"].golden_distance)
    elif not difference <= LIMIT:
        raise CheckError(
            f"embeddings as {config.name} has them computed differ from the package's by {difference:.1g}, "
            f"over {LIMIT:.0e}; nothing was written. Please report this"
        )
    return Proof(difference, float((1 - np.sum(rows * own, axis=1)).max()))


def prove_float16(
    consumer: Consumer, config: Path, graph: Path, source: Source, crops: Sequence[Picture]
) -> float:
    """Hold a graph in float16 to the package's embeddings, by the limit that engines in FP16 have.

    ONNX Runtime computes it on this processor with weights in float16, and floats between its layers, as wide
    as before. So the range of what is between them is looked at in the float32 graph.

    Args:
        consumer: as for `prove`, which held the same graph in float32 before.
        config: as for `prove`.
        graph: as it was written, in float16.
        source: as for `prove`.
        crops: two or more.

    Returns:
        The largest mean-centred cosine distance.

    Raises:
        CheckError: it is over the limit.
        InputError: a tensor leaves float16's range.
    """
    check_overflow(source.graph, crops, source.info.preprocessing)
    read = consumer.read(config, source.info.model.embedding_size)
    rows = Network.of(graph, source.info.preprocessing).embed(crops, read.pipeline)
    try:
        return hold_to_golden(rows, source.embed(crops), PRECISIONS["fp16"].golden_distance)
    except CheckError as error:
        raise CheckError(f"in float16, {error}; nothing was written. Take --precision fp16") from None
