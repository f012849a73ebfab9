"""An engine package to embeddings, as it runs on a camera."""
