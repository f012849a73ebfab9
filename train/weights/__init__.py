"""Weights in many kinds of files: read without running code in them, and searched for an OSNet."""
