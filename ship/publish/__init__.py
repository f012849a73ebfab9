"""Publishing to a fleet: keys, a TUF repository of static files, its packages, and their rollout."""
