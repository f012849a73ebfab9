"""Calibration sets: images, with identities or without, over which an INT8 engine's ranges are found."""

from osnet_edge.engines.calibration.calibration_set import (
    UNKNOWN,
    CalibrationPicture,
    CalibrationSet,
    load_pictures,
    read_calibration_set,
    write_calibration_set,
)
from osnet_edge.engines.calibration.draw import Drawn, draw_pictures, hold_out
from osnet_edge.engines.calibration.sieve import Candidate

__all__ = [
    "UNKNOWN",
    "CalibrationPicture",
    "CalibrationSet",
    "Candidate",
    "Drawn",
    "draw_pictures",
    "hold_out",
    "load_pictures",
    "read_calibration_set",
    "write_calibration_set",
]
