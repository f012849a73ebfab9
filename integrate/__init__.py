"""Engines plugged into other programs, with their files written and proved, and files of others checked."""

from osnet_edge.integrate.check import Checked, Finding, check
from osnet_edge.integrate.dump import Agreement, compare_dump
from osnet_edge.integrate.scoring import TestImages
from osnet_edge.integrate.source import Source, open_source
from osnet_edge.integrate.write import Integration, Kept, integrate

__all__ = [
    "Agreement",
    "Checked",
    "Finding",
    "Integration",
    "Kept",
    "Source",
    "TestImages",
    "check",
    "compare_dump",
    "integrate",
    "open_source",
]
