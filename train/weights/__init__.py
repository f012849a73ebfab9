"""Weights in whatever file people have them: read without running it, and the network in them found."""
