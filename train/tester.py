"""Scores of a network on test sets during training."""

from __future__ import annotations

from functools import partial

from osnet_edge.bench.measure.accuracy import embed_set
from osnet_edge.bench.metrics.evaluate import check_split
from osnet_edge.runtime.backends.onnxruntime import default_threads
from osnet_edge.runtime.embed_files import embed_files
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.preprocessing import Preprocessing
from osnet_edge.train.data import ReidSet, open_sets, parse_specs
from osnet_edge.train.embed import TorchEmbedder
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.recipe import Recipe

_BATCH = 64


class Tester:
    """Scores a network on test sets every few epochs, and after the last.

    Args:
        specs: the sets, separated by commas.
        every: number of epochs between two tests.
        recipe: size, distance and number of epochs.

    Raises:
        InputError: a set cannot be opened or scored, or `every` is below 1.
    """

    def __init__(self, specs: str, every: int, recipe: Recipe) -> None:
        if every < 1:
            raise InputError(f"expected --test-every of 1 epoch or more, got {every}")
        self._every, self._recipe = every, recipe
        self._targets: dict[str, tuple[ReidSet, ...]] = {}
        for spec in parse_specs(specs):
            splits = open_sets(spec)
            name = splits[0].name
            if name in self._targets:
                raise InputError(
                    f"expected --test sets of different names, since scores go by them, got two of {name!r}; "
                    "name each set once, or rename a folder"
                )
            for split in splits:
                check_split(split, name)
            self._targets[name] = splits

    def __call__(self, model: OSNet, epoch: int) -> dict[str, dict[str, float]]:
        """Return Rank-1, mAP and mINP by set, or nothing if it is not time."""
        if epoch % self._every and epoch != self._recipe.batches.epochs:
            return {}
        network = self._recipe.network
        embedder = TorchEmbedder(model, Preprocessing(height=network.height, width=network.width))
        scores = {}
        for name, splits in self._targets.items():
            embed = partial(embed_files, embedder, batch=_BATCH, read=embedder.read)
            embedded = embed_set(embed, splits, splits[0].protocol)
            measured = embedded.scores(self._recipe.distance, threads=default_threads())
            scores[name] = {"rank1": measured.rank1, "mean_ap": measured.mean_ap}
            if measured.mean_inp is not None:
                scores[name]["mean_inp"] = measured.mean_inp
        return scores
