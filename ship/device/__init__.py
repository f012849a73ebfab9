"""The camera's side of an update: refresh, choose, unpack, verify, switch, watch, and roll back on failure.

Nothing here needs torch or onnx; signatures are python-tuf's. `agent` is where to start reading.
"""
