"""Re-ID image sets and their readers; no torch here."""

from osnet_edge.train.data.market1501 import parse_name, read_market1501
from osnet_edge.train.data.open_set import DATA_VARIABLE, count_splits, open_set, open_sets, parse_specs
from osnet_edge.train.data.reid_set import DISTRACTOR, DataWarning, Picture, Protocol, ReidSet
from osnet_edge.train.data.sources import training_pictures

__all__ = [
    "DATA_VARIABLE",
    "DISTRACTOR",
    "DataWarning",
    "Picture",
    "Protocol",
    "ReidSet",
    "count_splits",
    "open_set",
    "open_sets",
    "parse_name",
    "parse_specs",
    "read_market1501",
    "training_pictures",
]
