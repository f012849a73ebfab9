"""What an engine package says of itself: its documents, their schema, and its folder."""
