"""Styles: what all cameras of one site share, so that synthetic sets can differ as real ones do.

A network fitted to one re-ID set loses much of its accuracy on another, in good part through light, colour
and sharpness: the image style that OSNet-AIN's instance normalisation is there to take away. Sets drawn with
one seed in two styles show the same people, places and poses through other cameras; another seed gives other
people of the same kind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from osnet_edge.bench.measure.look import Look
from osnet_edge.runtime.errors import InputError
from osnet_edge.train.synthetic.camera import Camera


@dataclass(frozen=True)
class Style:
    """What a site does to every camera of it; each camera's own manner stays, and this comes on top.

    Attributes:
        gain: factors on red, green and blue.
        gamma: factor on the tone curve's exponent; over 1 darkens.
        contrast: factor on the spread around the middle grey.
        saturation: factor on colours, 0 for grey images.
        blur: added to the lens's blur, as a part of the image's height.
        noise: added to the sensor's noise, in grey levels of 255.
        quality: factor on the JPEG quality.
    """

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    quality: float = 1.0


STYLES = {
    "plain": Style(),
    "dusk": Style(gain=(1.0, 0.68, 0.42), gamma=1.3, noise=4),
    "fluorescent": Style(gain=(0.74, 1.14, 0.86), contrast=1.3, saturation=0.7),
    "haze": Style(gain=(1.0, 1.08, 1.2), contrast=0.42, saturation=0.6, blur=0.006),
    "infrared": Style(gamma=0.65, contrast=1.15, saturation=0.0, noise=9),
    "neon": Style(gain=(1.12, 0.66, 1.3), gamma=1.25, contrast=1.3, saturation=1.7),
    "cheap": Style(gamma=1.35, contrast=0.8, blur=0.012, noise=7, quality=0.25),
}


def restyle(camera: Camera, style: str) -> Camera:
    """Return `camera` as it would be at a site of this style; "plain" leaves it as it is.

    Raises:
        InputError: there is no such style.
    """
    if style not in STYLES:
        raise InputError(f"expected a style of {', '.join(STYLES)}; got {style!r}")
    site, look = STYLES[style], camera.look
    red, green, blue = (own * added for own, added in zip(look.gain, site.gain, strict=True))
    styled = Look(
        gain=(red, green, blue),
        gamma=look.gamma * site.gamma,
        contrast=look.contrast * site.contrast,
        saturation=look.saturation * site.saturation,
        blur=look.blur + site.blur,
        noise=look.noise + site.noise,
        quality=max(1, round(look.quality * site.quality)),
    )
    return replace(camera, look=styled)
