"""The camera's side of shipping engines: refresh, choose, stage, verify, flip, watch, and go back by itself.

Nothing here needs torch or onnx; signatures are python-tuf's. `agent` is where to start reading.
"""
