"""Publishing to a fleet: keys, a TUF repository of static files, packages in it, and who takes them when."""
