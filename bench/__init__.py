"""Latency, throughput and accuracy of engines."""
