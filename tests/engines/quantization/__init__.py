"""INT8's pieces, a file each."""
