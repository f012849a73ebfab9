"""Changes to training crops that a camera could have made: mirrored, shifted, in other light, half hidden."""

from __future__ import annotations

import numpy as np

from osnet_edge.runtime.preprocessing import Picture


def augment(crop: Picture, rng: np.random.Generator) -> Picture:
    """Mirror, shift, tint and half hide an (H, W, 3) crop at random; the size stays.

    Source: random flip, crop, colour jitter and erasing of the paper's recipes (section 5.1), with strengths
    that suit a short fit.
    """
    return erase(tint(shift(mirror(crop, rng), rng), rng), rng)


def mirror(crop: Picture, rng: np.random.Generator) -> Picture:
    """Swap left and right in half of the cases."""
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def shift(crop: Picture, rng: np.random.Generator) -> Picture:
    """Move the picture by up to a 24th of its height either way, edges repeated."""
    height, width = crop.shape[:2]
    most = height // 24
    padded = np.pad(crop, ((most, most), (most, most), (0, 0)), mode="edge")
    top, left = rng.integers(0, 2 * most + 1, size=2)
    return padded[top : top + height, left : left + width]


def tint(crop: Picture, rng: np.random.Generator) -> Picture:
    """Scale brightness by up to 22 %, and each channel by up to 15 %, as other light and other sensors do."""
    gain = rng.uniform(0.78, 1.22) * rng.uniform(0.85, 1.15, size=3)
    tinted: Picture = np.clip(crop * gain, 0, 255).astype(np.uint8)
    return tinted


def erase(crop: Picture, rng: np.random.Generator) -> Picture:
    """Hide a rectangle, 10 to 40 % of the height by 20 to 70 % of the width, in three cases of ten.

    Source: Zhong et al., "Random Erasing Data Augmentation" (AAAI 2020).
    """
    if rng.random() >= 0.3:
        return crop
    height, width = crop.shape[:2]
    rows, columns = int(height * rng.uniform(0.1, 0.4)), int(width * rng.uniform(0.2, 0.7))
    top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
    hidden: Picture = crop.copy()
    hidden[top : top + rows, left : left + columns] = 0
    return hidden
