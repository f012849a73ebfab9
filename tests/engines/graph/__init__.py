"""A graph: what is derived from it, and what is made of it."""
