"""Exact rewrites of the network to fewer and larger kernels, one pass in each file."""

from osnet_edge.export.rewrite.passes import PASSES, parse_rewrite, rewrite

__all__ = ["PASSES", "parse_rewrite", "rewrite"]
