"""Latency, throughput and accuracy of engines."""

from osnet_edge.bench.average_precision import average_precisions, mean_average_precision
from osnet_edge.bench.cmc import cumulative_matches
from osnet_edge.bench.distances import cosine_distances, euclidean_distances
from osnet_edge.bench.ranking import MatchRanks, match_ranks
from osnet_edge.bench.scores import RetrievalScores, feature_ranks, score_retrieval
from osnet_edge.bench.top import top_ranked

__all__ = [
    "MatchRanks",
    "RetrievalScores",
    "average_precisions",
    "cosine_distances",
    "cumulative_matches",
    "euclidean_distances",
    "feature_ranks",
    "match_ranks",
    "mean_average_precision",
    "score_retrieval",
    "top_ranked",
]
