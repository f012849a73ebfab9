"""From a checkpoint to ONNX."""
