"""The `osnet-edge` command: one file a command."""
