"""Re-ID picture sets and their readers; no torch here."""

from osnet_edge.train.data.market1501 import Picture, ReidSet, parse_name, read_market1501

__all__ = ["Picture", "ReidSet", "parse_name", "read_market1501"]
