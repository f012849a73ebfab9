"""The camera's side of shipping engines: refresh, choose, stage, prove, flip, watch, and go back by itself.

Nothing here needs torch or onnx; trust is python-tuf's. `agent` is where to start reading.
"""
