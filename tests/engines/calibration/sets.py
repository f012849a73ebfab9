"""Small sets to draw from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from osnet_edge.cli.main import main


def blotches(seed: int) -> Image.Image:
    """An image of colours by chance, which looks like no other and stays itself when compressed."""
    colours = np.random.default_rng(seed).integers(0, 256, (16, 8, 3), np.uint8)
    return Image.fromarray(colours).resize((32, 64), Image.Resampling.BILINEAR)


def crossing(folder: Path, people: int, cameras: int) -> str:
    """Pictures of people, one by each camera, that look alike in nothing; the name of the set."""
    for who, camera in np.ndindex(people, cameras):
        blotches(who * cameras + camera).save(folder / f"{who:04d}_c{camera}s1_000001_00.png")
    return f"{folder}::{{identity}}_{{camera}}s1_*.png"


def calibrate(file: Path, *options: str) -> dict[str, Any]:
    assert main(["calibrate", "-o", str(file), *options]) == 0
    document: dict[str, Any] = json.loads(file.read_text())
    return document
