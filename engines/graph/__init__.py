"""An exported graph: read, run, looked up, counted and written in float16."""
