"""What a user would pick instead of an engine package, on the same weights and images."""
