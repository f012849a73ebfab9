"""Calibration sets, a file for each part: how images are drawn, what the file says, that it is held to."""
