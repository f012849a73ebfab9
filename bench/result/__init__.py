"""The document of a measurement."""
