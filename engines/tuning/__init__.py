"""The tuner: rewrites, precisions and builder options timed against each other, and the winner built."""
