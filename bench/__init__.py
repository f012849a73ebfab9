"""Latency, throughput and accuracy of engines."""

from osnet_edge.bench.accuracy import LabelledPicture, evaluate_retrieval, read_crop
from osnet_edge.bench.average_precision import average_precisions, mean_average_precision
from osnet_edge.bench.cmc import cumulative_matches
from osnet_edge.bench.distances import cosine_distances, euclidean_distances
from osnet_edge.bench.latency import LatencyStats, measure_interleaved, measure_latency
from osnet_edge.bench.machine import NOT_AVAILABLE, MachineFacts, machine_facts
from osnet_edge.bench.ranking import MatchRanks, match_ranks
from osnet_edge.bench.scores import RetrievalScores, feature_ranks, score_retrieval
from osnet_edge.bench.top import top_ranked

__all__ = [
    "NOT_AVAILABLE",
    "LabelledPicture",
    "LatencyStats",
    "MachineFacts",
    "MatchRanks",
    "RetrievalScores",
    "average_precisions",
    "cosine_distances",
    "cumulative_matches",
    "euclidean_distances",
    "evaluate_retrieval",
    "feature_ranks",
    "machine_facts",
    "match_ranks",
    "mean_average_precision",
    "measure_interleaved",
    "measure_latency",
    "read_crop",
    "score_retrieval",
    "top_ranked",
]
