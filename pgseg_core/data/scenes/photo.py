"""From painted light to a photograph: lens, exposure, colour balance, contrast, sensor noise."""

import math

import numpy as np
from numpy.typing import NDArray

from pgseg_core.data.scenes.dice import Dice
from pgseg_core.data.scenes.noise import Field, pixel_centres


def _soften(picture: Field, amount: float) -> None:
    """Blur (h, w, 3) in place along both axes; `amount` 0..1 of a pixel goes to its neighbours."""
    share = np.float32(amount / 2)
    for view in (picture, picture.swapaxes(0, 1)):
        step = view[1:] - view[:-1]
        step *= share
        view[:-1] += step
        view[1:] -= step


def _meter(grey: Field) -> float:
    """The exposure a camera would choose for brightness (h, w): most of the way to middle grey.

    It adds whole numbers, because sums of fractions depend on a processor's order of adding.
    """
    steps = np.minimum(np.maximum(grey[::3, ::3] * 255, 0), 255).astype(np.int64)
    mean = int(steps.sum()) / (255 * steps.size)
    return min(1.7, max(0.85, math.sqrt(0.46 / (mean + 0.02))))


def develop(picture: Field, dice: Dice) -> NDArray[np.uint8]:
    """Turn painted colours (h, w, 3) in about [0, 1] into 8-bit RGB (h, w, 3).

    The picture is worked on in place: fresh buffers would cost more than the arithmetic.
    """
    height, width, _ = picture.shape
    blur = dice.between(0.0, 0.45) if dice.chance(0.85) else dice.between(0.5, 0.66)
    if blur > 0.05:
        _soften(picture, blur)
    warm, green = dice.between(-0.06, 0.06), dice.between(-0.025, 0.025)
    colourful = dice.between(0.7, 1.25) if dice.chance(0.96) else dice.between(0.0, 0.3)
    grey = picture[..., 1] * np.float32(0.5)
    grey += picture[..., 0] * np.float32(0.25)
    grey += picture[..., 2] * np.float32(0.25)
    exposure = _meter(grey) * dice.between(0.9, 1.15)
    picture *= np.float32(colourful)
    picture += grey[..., None] * np.float32(1 - colourful)
    x = pixel_centres(0, width) / np.float32(width / 2) - 1
    y = pixel_centres(0, height) / np.float32(height / 2) - 1
    corner = ((x * x)[None] + (y * y)[:, None]) * np.float32(dice.between(0.0, 0.14))
    picture *= (1 - corner)[..., None]
    balance = (1 + warm) * exposure, (1 + green) * exposure, (1 - warm) * exposure
    picture *= np.array(balance, dtype=np.float32)
    np.clip(picture, 0, 1, out=picture)
    lift, contrast = np.float32(dice.between(0.0, 0.35)), np.float32(dice.between(-0.1, 0.5))
    work = np.sqrt(picture)  # shadows brought up
    work -= picture
    work *= lift
    picture += work
    np.multiply(picture, np.float32(-2), out=work)  # an S-curve, or a flatter one
    work += np.float32(3)
    work *= picture
    work -= np.float32(1)
    work *= picture
    work *= contrast
    picture += work
    strength = dice.between(0.004, 0.022)
    speck = dice.field(height, width)
    speck += dice.field(height, width)
    speck *= np.float32(strength)
    tint = dice.field(height, width, 3)
    tint *= np.float32(0.7 * strength)
    tint += speck[..., None]
    picture += tint
    picture -= np.float32(1.35 * strength)
    picture *= np.float32(255)
    picture += np.float32(0.5)
    np.clip(picture, 0, 255, out=picture)
    return picture.astype(np.uint8)
