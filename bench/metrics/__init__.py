"""Retrieval metrics and the statistics of comparing them."""
