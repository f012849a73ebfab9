"""The OSNet family, its training, and re-ID data. Data and the synthetic set need no torch."""
