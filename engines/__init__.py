"""From ONNX to an engine package for one target."""
