"""Time of day and weather: how bright and tinted things are, and what the air adds to them."""

from dataclasses import dataclass

from pgseg_core.data.scenes.dice import Dice

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """The light of one scene. Colours are display RGB in [0, 1]."""

    name: str
    zenith: Colour
    """The sky overhead."""
    horizon: Colour
    """The sky at the horizon, which is also what haze looks like."""
    ambient: Colour
    """What every surface's own colour is multiplied by."""
    direct: float
    """How hard shadows and shading are, 0..1."""
    side: float
    """Where the light comes from, -1 (left) to 1 (right)."""
    clouds: float
    """Cover, 0..1."""
    cloud: Colour
    reach: float
    """Distance at which the air hides half of a thing, metres."""
    glow: float
    """How much lamps and windows shine, 0..1."""


_KINDS: dict[str, Light] = {
    kind.name: kind
    for kind in (
        Light("clear", (0.25, 0.48, 0.80), (0.70, 0.83, 0.93), (1.0, 0.98, 0.94), 0.9, 0, 0.25,
              (0.97, 0.97, 0.98), 900, 0),
        Light("cloudy", (0.42, 0.55, 0.72), (0.78, 0.84, 0.88), (0.93, 0.94, 0.96), 0.6, 0, 0.62,
              (0.90, 0.91, 0.93), 600, 0),
        Light("overcast", (0.58, 0.62, 0.66), (0.80, 0.82, 0.83), (0.88, 0.90, 0.92), 0.25, 0, 0.9,
              (0.72, 0.74, 0.77), 350, 0.05),
        Light("fog", (0.74, 0.76, 0.78), (0.82, 0.83, 0.84), (0.84, 0.85, 0.87), 0.12, 0, 0.3,
              (0.80, 0.81, 0.82), 60, 0.1),
        Light("golden", (0.38, 0.52, 0.74), (0.98, 0.82, 0.56), (1.04, 0.88, 0.66), 1.0, 0, 0.4,
              (1.0, 0.86, 0.68), 450, 0.1),
        Light("sunset", (0.30, 0.28, 0.50), (0.98, 0.58, 0.32), (0.90, 0.68, 0.58), 0.7, 0, 0.5,
              (0.92, 0.48, 0.40), 350, 0.4),
        Light("dusk", (0.14, 0.18, 0.38), (0.58, 0.48, 0.58), (0.56, 0.58, 0.74), 0.3, 0, 0.45,
              (0.40, 0.36, 0.50), 300, 0.8),
        Light("night", (0.05, 0.07, 0.17), (0.20, 0.24, 0.38), (0.42, 0.45, 0.60), 0.3, 0, 0.4,
              (0.13, 0.15, 0.23), 300, 1.0),
        Light("storm", (0.27, 0.30, 0.36), (0.56, 0.60, 0.62), (0.76, 0.79, 0.82), 0.3, 0, 0.85,
              (0.36, 0.38, 0.43), 260, 0.2),
    )
}  # fmt: skip

_OFTEN: dict[str, float] = {
    "clear": 6.5,
    "cloudy": 4,
    "overcast": 2.4,
    "golden": 2.2,
    "sunset": 1.5,
    "fog": 0.8,
    "dusk": 0.9,
    "night": 0.5,
    "storm": 0.9,
}


def draw_light(dice: Dice) -> Light:
    """Sample the light of a scene."""
    kind = _KINDS[dice.weighted(_OFTEN)]
    tint = dice.between(-0.04, 0.04)
    red, green, blue = kind.ambient
    strength = dice.between(0.9, 1.08)
    return Light(
        name=kind.name,
        zenith=dice.jitter(kind.zenith, 0.07),
        horizon=dice.jitter(kind.horizon, 0.06),
        ambient=(
            red * strength * (1 + tint),
            green * strength,
            blue * strength * (1 - tint),
        ),
        direct=min(1.0, max(0.05, kind.direct + dice.between(-0.15, 0.15))),
        side=dice.side() * dice.between(0.4, 1.0),
        clouds=min(1.0, max(0.0, kind.clouds + dice.between(-0.25, 0.2))),
        cloud=dice.jitter(kind.cloud, 0.05),
        reach=kind.reach * dice.between(0.7, 1.5),
        glow=kind.glow,
    )
