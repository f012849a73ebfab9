"""Identities through a camera's frames: a reference tracker, and the scores of its tracks."""
