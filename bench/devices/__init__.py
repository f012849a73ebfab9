"""Readers of what a machine says of itself: its board, clocks, temperatures and power; no root needed."""
