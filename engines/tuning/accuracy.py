"""What a candidate loses on held-out people, and its INT8 graph: found when it is asked for, and kept."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from osnet_edge.engines.calibration import load_pictures
from osnet_edge.engines.graph import read_graph
from osnet_edge.engines.half import to_half
from osnet_edge.engines.int8 import Calibration, HeldOut, decide_int8
from osnet_edge.engines.overflow import check_overflow
from osnet_edge.engines.quantization.decide import Budget
from osnet_edge.engines.quantization.quantizer import Quantizer
from osnet_edge.engines.quantization.rules import rules_for
from osnet_edge.engines.quantization.table import make_table
from osnet_edge.engines.quantization.table_cache import find_table, hash_pictures, read_batches
from osnet_edge.engines.tuning.cache import TuningCache
from osnet_edge.engines.tuning.candidate import LOSSY, Candidate
from osnet_edge.runtime.backends import Engine
from osnet_edge.runtime.backends.onnxruntime_cpu import default_threads
from osnet_edge.runtime.embedder import normalize_rows
from osnet_edge.runtime.errors import InputError, OsnetEdgeError
from osnet_edge.runtime.files import sha256_of
from osnet_edge.runtime.manifest import Backend
from osnet_edge.runtime.precision import Int8, Loss
from osnet_edge.runtime.schema import from_json, to_json

#: Ranges do not change what INT8 takes, so that a few pictures do for timing it.
_FOR_TIMING, _AT_ONCE = 8, 4
_GPU: tuple[Backend, ...] = ("tensorrt", "tensorrt_rtx", "onnxruntime_cuda")


@dataclass(frozen=True)
class Quantized:
    """INT8 of one graph for one library, decided on.

    Attributes:
        decision: group by group.
        quantizer: makes the graph.
    """

    decision: Int8
    quantizer: Quantizer

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of layers in INT8."""
        return tuple(each.group for each in self.decision.groups if each.int8)

    @property
    def whole(self) -> bool:
        """Whether they are all."""
        return len(self.groups) == len(self.decision.groups)


class Accuracy:
    """Holds candidates to a budget.

    Args:
        graphs: float32 graphs' files by their rewrite, the reference's first.
        request: calibration set and budget; None measures nothing.
        cache: where losses and decisions are kept.
        progress: told what is being done.

    Attributes:
        losses: what was measured so far, by candidate.
        decided: INT8 that was decided on, by candidate.
    """

    def __init__(
        self,
        graphs: Mapping[tuple[str, ...], Path],
        request: Calibration | None,
        cache: TuningCache,
        progress: Callable[[str], None],
    ) -> None:
        self._graphs, self._request, self._cache, self._progress = graphs, request, cache, progress
        self._models = {rewrite: read_graph(path) for rewrite, path in graphs.items()}
        self._hashes = {rewrite: sha256_of(path) for rewrite, path in graphs.items()}
        self._set = sha256_of(request.file) if request else ""
        self._held_out: HeldOut | None = None
        self._quick: dict[tuple[Backend, tuple[str, ...]], Quantizer] = {}
        self._unknown: dict[tuple[Backend, tuple[str, ...]], str] = {}
        self.losses: dict[Candidate, Loss] = {}
        self.decided: dict[Candidate, Quantized] = {}

    def digest(self, candidate: Candidate) -> Any:
        """Return what a candidate's time depends on beside the machine: its graph, and INT8's groups."""
        pictures = [self._set] if candidate.precision == "int8" else []
        found = self.decided.get(candidate)
        return [str(candidate), self._hashes[candidate.rewrite], *pictures, *(found.groups if found else ())]

    def graph(self, candidate: Candidate) -> ModelProto:
        """Return the float32 graph that a candidate is made of."""
        return self._models[candidate.rewrite][0]

    def model(self, candidate: Candidate, *, half: bool = True) -> ModelProto:
        """Return a candidate's graph, typed as a GPU would run it: float16 around INT8 with `half`."""
        model = self.graph(candidate)
        if candidate.precision == "int8":
            return self.quantize(candidate, half)
        return to_half(model) if candidate.precision == "fp16" else model

    def quantize(self, candidate: Candidate, half: bool = False) -> ModelProto:
        """Return a candidate's INT8 graph: as decided, or, before that, all of it, good for timing alone."""
        if candidate in self.decided:
            found = self.decided[candidate]
            return found.quantizer.make(found.groups, half=half)
        key = (candidate.backend, candidate.rewrite)
        if key in self._unknown:
            raise InputError(self._unknown[key])
        try:
            if key not in self._quick:
                self._quick[key] = self._quantizer_for_timing(candidate)
            return self._quick[key].make(tuple(self._quick[key].groups), half=half)
        except ValueError as error:
            # Shapes that do not fit: INT8 knows the blocks as the paper draws them, and not every rewrite.
            self._unknown[key] = f"INT8 does not know the layers of this rewrite ({error})"
            raise InputError(self._unknown[key]) from None

    def refuse(self, candidate: Candidate, embed: Callable[[HeldOut], Any] | None) -> str | None:
        """Hold a candidate to the budget.

        Args:
            candidate: to be judged.
            embed: its embeddings of the held-out pictures, (N, D); None has none but computes its graph as it
                is written.

        Returns:
            Why it is not taken, or None.
        """
        if candidate.precision not in LOSSY or self._request is None:
            return None
        try:
            if candidate.precision == "int8" and candidate not in self.decided:
                found = self._decide(candidate)
                self.decided[candidate] = found
                if not found.groups:
                    return "no group of layers is within the budget in INT8"
            if candidate.backend in _GPU:
                self._check_range(candidate)
            loss = self._measure(candidate, embed)
        except OsnetEdgeError as error:
            return str(error)
        budget = self._request.budget
        if budget is not None and not budget.allows(loss):
            return f"loses up to {loss.mean_ap_most:.2f} points of mAP"
        return None

    @property
    def budget(self) -> Budget | None:
        """What may be lost."""
        return self._request.budget if self._request else None

    def _measure(self, candidate: Candidate, embed: Callable[[HeldOut], Any] | None) -> Loss:
        key = ["loss", self.digest(candidate), self._set]
        loss: Loss | None = _parse(Loss, self._cache.read(key))
        if loss is None:
            held_out = self._people()
            self._progress(f"measuring what {candidate} loses on {held_out.count:,} held-out pictures")
            half = candidate.backend in _GPU
            loss = (
                held_out.loss(embed(held_out))
                if embed
                else held_out.loss_of(self.model(candidate, half=half))
            )
            self._cache.write(key, to_json(loss))
        self.losses[candidate] = loss
        return loss

    def _decide(self, candidate: Candidate) -> Quantized:
        """Decide on INT8, or remember how that ended."""
        request, graph = self._required(), self._graphs[candidate.rewrite]
        model, info = self._models[candidate.rewrite]
        rules = rules_for(candidate.backend, platform.machine())
        budget = to_json(request.budget)
        key = ["int8", self._hashes[candidate.rewrite], rules.name, self._set, budget]
        decision = _parse(Int8, self._cache.read(key))
        if decision is not None:
            table = find_table(
                model,
                self._hashes[candidate.rewrite],
                info.preprocessing,
                request.pictures,
                request.file,
                threads=default_threads(),
            )
            return Quantized(decision, Quantizer(model, table, rules))
        people = self._people()
        quantizer, decision = decide_int8(graph, model, info, rules, request, people, progress=self._progress)
        self._cache.write(key, to_json(decision))
        return Quantized(decision, quantizer)

    def _quantizer_for_timing(self, candidate: Candidate) -> Quantizer:
        request = self._required()
        model, info = self._models[candidate.rewrite]
        few = request.pictures.pictures[:_FOR_TIMING]
        table = make_table(
            model,
            read_batches(few, info.preprocessing, _AT_ONCE),
            graph_sha256=self._hashes[candidate.rewrite],
            pictures_sha256=hash_pictures(request.pictures),
            threads=default_threads(),
        )
        return Quantizer(model, table, rules_for(candidate.backend, platform.machine()))

    def _check_range(self, candidate: Candidate) -> None:
        model, info = self._models[candidate.rewrite]
        crops = load_pictures(self._required().pictures.pictures)
        check_overflow(model, crops, info.preprocessing, self._progress)

    def _people(self) -> HeldOut:
        if self._held_out is None:
            rewrite = next(iter(self._graphs))
            self._held_out = HeldOut(self._required(), self._graphs[rewrite], self._models[rewrite][1])
        return self._held_out

    def _required(self) -> Calibration:
        if self._request is None:
            raise ValueError("INT8 is no candidate without a calibration set")
        return self._request


def embed_with(engine: Engine) -> Callable[[HeldOut], Any]:
    """Return what embeds held-out people in an engine as it computes."""
    return lambda people: normalize_rows(np.concatenate([engine.infer(batch) for batch in people.batches]))


def _parse(kind: Any, value: Any) -> Any:
    """Return what the cache kept, or None where that is not of this kind."""
    try:
        return None if value is None else from_json(kind, value, "the tuning cache")
    except InputError:
        return None
