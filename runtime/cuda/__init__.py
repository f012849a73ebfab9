"""CUDA through whichever Python package brings it."""
