"""A candidate's loss on held-out people, and its INT8 graph: computed on first use, and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from osnet_edge.engines.backends.registry import builder_of
from osnet_edge.engines.build_spec import BuildSpec
from osnet_edge.engines.calibration import load_pictures
from osnet_edge.engines.calibration.camera_changes import RANGES
from osnet_edge.engines.golden import GoldenPairs, make_golden
from osnet_edge.engines.graph.float16 import check_overflow, typed_graph
from osnet_edge.engines.graph.reading import ExportedGraph, Graph
from osnet_edge.engines.int8 import NO_GROUP, Calibration, GroupTimer, HeldOut, decide_int8
from osnet_edge.engines.quantization.quantizer import METHOD, Quantized, Quantizer
from osnet_edge.engines.quantization.table import find_table, hash_pictures, make_table, read_batches
from osnet_edge.engines.targets import TargetSpec
from osnet_edge.engines.tuning.cache import TuningCache
from osnet_edge.engines.tuning.candidate import Candidate
from osnet_edge.runtime.backends.base import Engine
from osnet_edge.runtime.backends.registry import BACKENDS, BackendName
from osnet_edge.runtime.errors import OsnetEdgeError
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.package.decisions import AccuracyLoss, Int8
from osnet_edge.runtime.package.schema import to_json
from osnet_edge.runtime.preprocessing import Picture

#: Ranges do not change what INT8 takes, so that a few images do for timing it.
_FOR_TIMING, _AT_ONCE = 8, 4


class Accuracy:
    """Compares the loss of candidates with a budget.

    Args:
        graphs: float32 graphs by their rewrite, the reference's first.
        request: calibration set and budget; None measures nothing.
        cache: where losses and decisions are kept.
        golden_crops: uint8 (K, H, W, 3) RGB, on which engines are compared with their graphs.
        processor: the kind that INT8 on a CPU is made for; empty for GPUs.
        progress: called with a line for each step.
        time_groups: what each group of layers saves in INT8; None goes by its share of the work.

    Attributes:
        graphs: as given.
        losses: what was measured so far, by candidate.
        decided: INT8 that was decided on, by candidate.
        decisions: how that was, by candidate.
    """

    def __init__(
        self,
        graphs: Mapping[tuple[str, ...], ExportedGraph],
        request: Calibration | None,
        cache: TuningCache,
        golden_crops: Picture,
        processor: str,
        progress: Callable[[str], None],
        time_groups: GroupTimer | None = None,
    ) -> None:
        self._time_groups = time_groups
        self.graphs, self._request, self._cache, self._progress = graphs, request, cache, progress
        self._golden_crops, self._processor = golden_crops, processor
        self._set = sha256_of(request.file) if request else ""
        self._held_out: HeldOut | None = None
        self._quick: dict[tuple[BackendName, tuple[str, ...]], Quantized] = {}
        self._golden: dict[str, GoldenPairs] = {}
        self._in_range: set[tuple[str, ...]] = set()
        self.losses: dict[Candidate, AccuracyLoss] = {}
        self.decided: dict[Candidate, Quantized] = {}
        self.decisions: dict[Candidate, Int8] = {}

    def digest(self, candidate: Candidate) -> Any:
        """Return what a candidate's time depends on beside the machine: its graph, and INT8's groups."""
        pictures = [self._set] if candidate.quantized else []
        found = self.decided.get(candidate)
        graph = self.graphs[candidate.rewrite]
        return [str(candidate), graph.sha256, *pictures, *(found.groups if found else ())]

    def graph(self, candidate: Candidate) -> Graph:
        """Return a candidate's graph, typed as its engine runs it: around INT8 it is float16 on a GPU."""
        if candidate.quantized:
            return self._quantized(candidate).make(half=not BACKENDS[candidate.backend].on_cpu)
        return typed_graph(self.graphs[candidate.rewrite], candidate.precision)

    def resolve(self, candidate: Candidate, capabilities: tuple[str, ...]) -> BuildSpec:
        """Return what a candidate's package is built as."""
        return BuildSpec(
            TargetSpec(candidate.backend, capabilities, processor=self._processor),
            candidate.precision,
            self._quantized(candidate) if candidate.quantized else None,
            self.decisions.get(candidate),
        )

    def _quantized(self, candidate: Candidate) -> Quantized:
        """Return a candidate's INT8: as decided, or, before that, all of it, good for timing alone."""
        if candidate in self.decided:
            return self.decided[candidate]
        key = (candidate.backend, candidate.rewrite)
        if key not in self._quick:
            self._quick[key] = self._all_for_timing(candidate)
        return self._quick[key]

    def refuse(
        self, candidate: Candidate, lose: Callable[[HeldOut], AccuracyLoss] | None = None
    ) -> str | None:
        """Hold a candidate to the budget.

        Args:
            candidate: to be judged.
            lose: what it loses on the people held out; None computes its graph as it is written.

        Returns:
            Why it is not taken, or None.
        """
        if not candidate.rounds or self._request is None:
            return None
        try:
            if candidate.quantized and not self.decide(candidate).groups:
                return f"{NO_GROUP} in INT8"
            if not BACKENDS[candidate.backend].on_cpu:
                self._check_range(candidate)
            loss = self._measure(candidate, lose)
        except OsnetEdgeError as error:
            return str(error)
        budget = self._request.budget
        if budget is not None and not budget.allows(loss):
            if loss.tracks and budget.allows_ranks(loss):
                return f"loses {loss.tracks.idf1:.2f} points of IDF1 in sequences"
            return f"loses up to {loss.worse.mean_ap_most:.2f} points of mAP"
        return None

    def hold_to_graph(self, candidate: Candidate, engine: Engine, most: int) -> None:
        """Compare a candidate's engine with golden pairs, with at most `most` images a call.

        Raises:
            CheckError: its results differ from those of its graph.
        """
        key = str(self.digest(candidate))
        if key not in self._golden:
            quantized = self._quantized(candidate) if candidate.quantized else None
            graph = self.graphs[candidate.rewrite]
            self._golden[key] = make_golden(graph, self._golden_crops, candidate.precision, quantized)
        self._golden[key].hold(engine, most)

    def _measure(self, candidate: Candidate, lose: Callable[[HeldOut], AccuracyLoss] | None) -> AccuracyLoss:
        key = ["loss", self.digest(candidate), self._set, RANGES]
        loss = self._cache.read(AccuracyLoss, key)
        if loss is None:
            held_out = self._people()
            self._progress(f"measuring what {candidate} loses on {held_out.count:,} held-out images")
            loss = lose(held_out) if lose else held_out.loss_of(self.graph(candidate))
            self._cache.write(key, loss)
        self.losses[candidate] = loss
        return loss

    def decide(self, candidate: Candidate) -> Quantized:
        """Decide on INT8, once; or remember how that ended.

        Raises:
            OsnetEdgeError: the graph or the calibration set is of no use for it.
        """
        if candidate not in self.decided:
            self.decided[candidate], self.decisions[candidate] = self._decide(candidate)
        return self.decided[candidate]

    def _decide(self, candidate: Candidate) -> tuple[Quantized, Int8]:
        request, graph = self._required(), self.graphs[candidate.rewrite]
        rules = builder_of(candidate.backend).rules_for(self._processor)
        key = ["int8", graph.sha256, rules.name, self._set, RANGES, to_json(request.budget)]
        if decision := self._cache.read(Int8, key):
            table = find_table(graph, request.pictures, request.file, self._progress)
            return Quantized.decided(Quantizer(graph, table, rules), decision), decision
        quantized, decision = decide_int8(
            graph, rules, request, self._people(), time_groups=self._time_groups, progress=self._progress
        )
        self._cache.write(key, decision)
        return quantized, decision

    def _all_for_timing(self, candidate: Candidate) -> Quantized:
        request, graph = self._required(), self.graphs[candidate.rewrite]
        few = request.pictures.pictures[:_FOR_TIMING]
        table = make_table(
            graph,
            read_batches(few, graph.info.preprocessing, _AT_ONCE),
            graph_sha256=graph.sha256,
            pictures_sha256=hash_pictures(request.pictures),
            methods=(METHOD,),
        )
        quantizer = Quantizer(graph, table, builder_of(candidate.backend).rules_for(self._processor))
        return Quantized(quantizer, tuple(quantizer.groups))

    def _check_range(self, candidate: Candidate) -> None:
        """Check a graph's activations against float16's range, once for all candidates made from it."""
        if candidate.rewrite in self._in_range:
            return
        graph, crops = self.graphs[candidate.rewrite], load_pictures(self._required().pictures.pictures)
        check_overflow(graph, crops, graph.info.preprocessing, self._progress)
        self._in_range.add(candidate.rewrite)

    def _people(self) -> HeldOut:
        if self._held_out is None:
            self._held_out = HeldOut(self._required(), next(iter(self.graphs.values())), self._progress)
        return self._held_out

    def _required(self) -> Calibration:
        if self._request is None:
            raise ValueError("INT8 is no candidate without a calibration set")
        return self._request
