"""The synthetic re-ID set: drawn people, cameras and frames; no torch here."""
