"""TensorRT and TensorRT-RTX: from a graph to a plan."""
