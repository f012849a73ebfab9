"""Re-ID picture sets and their readers; no torch here."""
