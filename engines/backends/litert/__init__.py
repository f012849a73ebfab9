"""Building for LiteRT: an ONNX graph becomes a `.tflite` file, without a converter in between."""
