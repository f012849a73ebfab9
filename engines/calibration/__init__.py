"""Calibration sets: images drawn from re-ID sets, over which an INT8 engine's ranges are found."""

from osnet_edge.engines.calibration.calibration_set import (
    CalibrationPicture,
    CalibrationSet,
    load_pictures,
    read_calibration_set,
    write_calibration_set,
)
from osnet_edge.engines.calibration.draw import Candidate, Drawn, draw_pictures, hold_out

__all__ = [
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
