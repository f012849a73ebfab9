"""As much of pycuda as `PyCuda` uses, on whatever driver is there: the context."""
