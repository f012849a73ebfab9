"""Latency, throughput and accuracy of engines."""

from osnet_edge.bench.devices.sysfs import NOT_AVAILABLE
from osnet_edge.bench.measure.accuracy import EmbeddedSet, embed_set
from osnet_edge.bench.metrics.changes import AccuracyChange, ChangeIntervals
from osnet_edge.bench.metrics.distances import cosine_distances, euclidean_distances
from osnet_edge.bench.metrics.evaluate import LabelledPicture, feature_ranks, score_retrieval
from osnet_edge.bench.metrics.ranking import MatchRanks, match_ranks, top_ranked
from osnet_edge.bench.metrics.reranking import Reranking, rerank
from osnet_edge.bench.metrics.scores import (
    RetrievalScores,
    average_precisions,
    cumulative_matches,
    first_hits,
    inverse_negative_penalties,
    mean_average_precision,
    mean_inverse_negative_penalty,
)
from osnet_edge.bench.metrics.statistics import PairedDifference, paired_bootstrap
from osnet_edge.bench.metrics.verification import Verification, verify_scores, verify_splits
from osnet_edge.bench.report.page import html_report
from osnet_edge.bench.report.pictures import InlinePicture, PictureSection, Ranking
from osnet_edge.bench.report.printed import csv_table, markdown_table, text_table
from osnet_edge.bench.report.summary import caution, fastest, summary
from osnet_edge.bench.result.latency_stats import LatencyStats
from osnet_edge.bench.result.machine import MachineFacts, machine_facts
from osnet_edge.bench.result.result import (
    SCHEMA_VERSION,
    Accuracy,
    BatchLatency,
    BenchResult,
    EngineResult,
    Ratio,
    Settings,
    from_json,
    to_json,
)

__all__ = [
    "NOT_AVAILABLE",
    "SCHEMA_VERSION",
    "Accuracy",
    "AccuracyChange",
    "BatchLatency",
    "BenchResult",
    "ChangeIntervals",
    "EmbeddedSet",
    "EngineResult",
    "InlinePicture",
    "LabelledPicture",
    "LatencyStats",
    "MachineFacts",
    "MatchRanks",
    "PairedDifference",
    "PictureSection",
    "Ranking",
    "Ratio",
    "Reranking",
    "RetrievalScores",
    "Settings",
    "Verification",
    "average_precisions",
    "caution",
    "cosine_distances",
    "csv_table",
    "cumulative_matches",
    "embed_set",
    "euclidean_distances",
    "fastest",
    "feature_ranks",
    "first_hits",
    "from_json",
    "html_report",
    "inverse_negative_penalties",
    "machine_facts",
    "markdown_table",
    "match_ranks",
    "mean_average_precision",
    "mean_inverse_negative_penalty",
    "paired_bootstrap",
    "rerank",
    "score_retrieval",
    "summary",
    "text_table",
    "to_json",
    "top_ranked",
    "verify_scores",
    "verify_splits",
]
