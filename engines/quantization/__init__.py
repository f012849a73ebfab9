"""INT8: which layers, in which ranges, and where Q/DQ pairs stand for which engine."""
