"""TensorRT and TensorRT-RTX: from a plan to embeddings."""
