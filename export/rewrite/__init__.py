"""The network rewritten exactly, so that a compiler sees fewer and larger kernels: one pass, one file."""

from osnet_edge.export.rewrite.passes import PASSES, parse_rewrite, rewrite

__all__ = ["PASSES", "parse_rewrite", "rewrite"]
