"""Wrong inputs, a file for each command: what is wrong, how it was given, and what is said."""
