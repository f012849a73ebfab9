"""What INT8 costs on a test set, by engine's rules: the figures of docs/RESULTS.md.

    python scripts/int8_accuracy.py osnet.onnx --calibration calib.json --data viper --rules tensorrt

Every Q/DQ is computed as it is written, on the CPU, so that rules for GPUs have figures too.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from osnet_edge.cli.options import read_calibration
from osnet_edge.cli.progress import step
from osnet_edge.engines.graph.float16 import to_half
from osnet_edge.engines.graph.reading import Graph, read_graph
from osnet_edge.engines.graph.running import open_graph
from osnet_edge.engines.int8 import HeldOut, decide_int8
from osnet_edge.engines.quantization.rules import RULES
from osnet_edge.runtime.package.graph_info import INPUT_NAME, OUTPUT_NAME, GraphInfo
from osnet_edge.runtime.preprocessing import Picture, to_batch

Points = npt.NDArray[np.float64]


@click.command()
@click.argument("graph")
@click.option("--calibration", required=True, metavar="FILE")
@click.option("--data", default="viper", show_default=True)
@click.option("--rules", type=click.Choice([*RULES, "fp16"]), default="tensorrt", show_default=True)
@click.option(
    "--budget", type=float, help="Points of mAP on held-out people; without it all groups are INT8."
)
def main(graph: str, calibration: str, data: str, rules: str, budget: float | None) -> None:
    """Print what INT8 (or FP16) loses on a test set, with a 95 % paired bootstrap interval."""
    read = read_graph(Path(graph))
    info = read.info
    given = read_calibration(calibration, budget, None)
    if rules == "fp16" or given is None:
        share, chosen = 1.0, to_half(read)
    else:
        quantized, decision = decide_int8(read, RULES[rules], given, HeldOut(given, read), progress=step)
        share, chosen = decision.macs, quantized.make()
        left = [each.group for each in decision.groups if not each.int8]
        print(f"held-out {decision.loss}; in floating point: {', '.join(left) or 'nothing'}")
    reference = _per_query(read.path, info, data)
    other = _per_query(chosen, info, data)
    from osnet_edge.bench.metrics.statistics import paired_bootstrap

    for name, old, new in zip(("mAP", "Rank-1"), reference, other, strict=True):
        change = paired_bootstrap(old, new)
        print(
            f"{info.model.variant} {rules} {name}: {old.mean():.2f} to {new.mean():.2f}, "
            f"{change.mean:+.2f} ({change.low:+.2f} to {change.high:+.2f}), {share:.1%} of the work in INT8"
        )


def _per_query(graph: Path | Graph, info: GraphInfo, data: str) -> tuple[Points, Points]:
    """Return the average precision and Rank-1 of each query, in points."""
    from osnet_edge.bench import average_precisions, embed_set, first_hits
    from osnet_edge.runtime.embed_files import embed_files
    from osnet_edge.train.data import open_set

    found, session = open_set(data), open_graph(graph)

    def embed(crops: list[Picture]) -> npt.NDArray[np.float32]:
        rows: npt.NDArray[np.float32] = session.run(
            [OUTPUT_NAME], {INPUT_NAME: to_batch(crops, info.preprocessing)}
        )[0]
        return rows

    ranks = embed_set(partial(embed_files, embed), [found]).ranks
    return 100 * average_precisions(ranks), 100 * first_hits(ranks)


if __name__ == "__main__":
    main()
