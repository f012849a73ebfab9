"""One builder a backend: from a graph to the model file of a package."""
