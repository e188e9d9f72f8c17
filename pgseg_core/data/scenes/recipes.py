"""The kinds of place a scene can be, and how often each thing is found there.

Every class is at home in several places and missing from several, so that no two of them always
come together. Each table maps a name to a weight, a probability or a mean count.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One kind of place."""

    weight: float
    """How often."""
    horizon: tuple[float, float]
    """Height of the sky, in heights of the picture."""
    backdrop: Mapping[str, float]
    """Weights; names joined by + are painted in turn, farthest first."""
    base: Mapping[str, float]
    """Weights of the surface the ground begins with."""
    features: Mapping[str, float]
    """Probability of each further surface: a shape (see `world`) and a class."""
    things: Mapping[str, float]
    """Mean number of smaller things."""
    heroes: Mapping[str, float]
    """Weights of one large thing; `none` for a view."""
    facades: float = 0.0
    """Probability of house fronts along each side of a lane."""
    down: float = 0.3
    """Probability that the camera looks down and the horizon is above the frame."""


RECIPES: dict[str, Recipe] = {
    "street": Recipe(
        13,
        (0.34, 0.52),
        {"none": 3, "skyline": 2, "treeline": 2, "hills": 1, "mountains": 0.7},
        {"road": 3, "grass": 3, "snow": 0.9, "sand": 0.6},
        {"lane road": 1.0},
        {
            "car": 1.8,
            "bus": 0.4,
            "person": 1.6,
            "tree": 1.0,
            "dog": 0.3,
            "bird": 0.2,
            "building": 0.3,
        },
        {"none": 3, "car": 3, "bus": 2.6, "person": 2, "dog": 0.8, "horse": 0.5, "bird": 0.3},
        0.72,
    ),
    "crossing": Recipe(
        7,
        (0.3, 0.5),
        {"skyline": 3, "treeline": 2, "hills": 1, "none": 1},
        {"grass": 3, "road": 1.2, "snow": 0.8, "sand": 0.8},
        {"cross road": 1.0},
        {
            "car": 1.4,
            "bus": 0.5,
            "person": 1.0,
            "tree": 1.2,
            "building": 1.2,
            "fence": 0.3,
            "dog": 0.3,
        },
        {"none": 2, "car": 3, "bus": 3, "building": 1.5, "person": 1.2, "tree": 0.6, "horse": 0.5},
    ),
    "park": Recipe(
        11,
        (0.3, 0.5),
        {"treeline": 4, "skyline": 2, "hills": 1, "none": 1.5, "forest": 1},
        {"grass": 8, "snow": 0.8, "flower": 0.8},
        {"path road": 0.4, "pond water": 0.28, "pond flower": 0.4, "far grass": 0.1},
        {"person": 1.3, "tree": 1.8, "dog": 0.7, "bird": 0.7, "fence": 0.25},
        {"none": 2, "dog": 3, "person": 2.4, "bird": 1.6, "tree": 1.8, "fence": 0.5, "horse": 0.4},
    ),
    "beach": Recipe(
        10,
        (0.28, 0.52),
        {"none": 5, "hills": 1.5, "mountains": 1.2, "skyline": 0.8},
        {"sand": 1},
        {"far water": 0.72, "side water": 0.26, "path road": 0.06, "pond grass": 0.12},
        {
            "person": 1.4,
            "boat": 0.5,
            "bird": 0.6,
            "dog": 0.4,
            "tree": 0.5,
            "horse": 0.15,
            "fence": 0.15,
        },
        {
            "none": 2.5,
            "person": 2.4,
            "dog": 2,
            "bird": 1.6,
            "horse": 1.3,
            "car": 0.7,
            "boat": 1.6,
            "tree": 0.7,
        },
    ),
    "sea": Recipe(
        7,
        (0.25, 0.6),
        {"none": 4, "mountains": 1, "hills": 1, "skyline": 0.9},
        {"water": 1},
        {"near sand": 0.15, "near grass": 0.12, "near road": 0.12},
        {"boat": 1.0, "bird": 0.7},
        {"none": 1.5, "boat": 4, "bird": 2.4, "person": 0.5},
    ),
    "lake": Recipe(
        8,
        (0.28, 0.5),
        {"mountains": 3, "mountains+treeline": 2, "slope": 2, "hills": 2, "treeline": 2},
        {"grass": 4, "sand": 1, "snow": 1, "flower": 0.5},
        {"far water": 0.6, "side water": 0.35, "pond water": 0.2, "pond flower": 0.15},
        {"boat": 0.5, "tree": 0.8, "person": 0.6, "bird": 0.5, "building": 0.3, "horse": 0.2},
        {
            "none": 3,
            "boat": 2,
            "bird": 1.6,
            "person": 1,
            "tree": 1,
            "horse": 0.9,
            "dog": 0.7,
            "building": 0.5,
        },
    ),
    "meadow": Recipe(
        7,
        (0.28, 0.5),
        {"mountains": 2.5, "slope": 2, "hills": 2, "treeline": 1.5, "none": 1},
        {"flower": 4, "grass": 3},
        {"path road": 0.3, "pond flower": 0.4, "stream water": 0.12, "far grass": 0.25},
        {"tree": 0.6, "horse": 0.5, "person": 0.5, "fence": 0.3, "building": 0.3, "bird": 0.2},
        {
            "none": 3,
            "horse": 2.2,
            "person": 1.2,
            "dog": 1,
            "tree": 1,
            "building": 0.8,
            "fence": 0.8,
            "bird": 0.6,
        },
    ),
    "winter": Recipe(
        10,
        (0.25, 0.5),
        {
            "mountains": 3,
            "mountains+treeline": 1,
            "slope": 2,
            "treeline": 2,
            "hills": 1,
            "none": 2,
            "forest": 0.6,
        },
        {"snow": 1},
        {
            "path road": 0.15,
            "lane road": 0.1,
            "cross road": 0.1,
            "far water": 0.12,
            "stream water": 0.06,
        },
        {"tree": 1.3, "person": 1.0, "building": 0.5, "dog": 0.4, "fence": 0.35, "car": 0.25},
        {
            "none": 3,
            "person": 2.2,
            "dog": 1.8,
            "horse": 1.1,
            "building": 1,
            "tree": 1,
            "car": 1,
            "bus": 0.5,
            "fence": 0.6,
            "bird": 0.5,
        },
    ),
    "farm": Recipe(
        8,
        (0.3, 0.52),
        {"hills": 2, "treeline": 2, "none": 2, "mountains": 1},
        {"grass": 5, "snow": 0.5, "sand": 0.7, "flower": 0.6},
        {"path road": 0.3, "cross road": 0.12, "pond water": 0.12, "far flower": 0.12},
        {
            "horse": 0.9,
            "fence": 0.75,
            "building": 0.7,
            "tree": 0.6,
            "person": 0.4,
            "dog": 0.3,
            "bird": 0.3,
            "car": 0.2,
        },
        {
            "none": 1,
            "horse": 3.2,
            "fence": 2.2,
            "building": 1.8,
            "dog": 0.8,
            "bird": 0.8,
            "car": 0.5,
        },
    ),
    "harbour": Recipe(
        7,
        (0.28, 0.5),
        {"skyline": 3, "hills": 1.5, "mountains": 1, "none": 1},
        {"road": 2.4, "grass": 1, "sand": 0.6},
        {"far water": 0.75, "side water": 0.3},
        {"boat": 1.2, "building": 0.4, "person": 0.7, "bird": 0.7, "car": 0.4, "dog": 0.2},
        {"none": 2, "boat": 3, "bird": 1.6, "person": 1, "building": 0.8, "car": 0.7, "bus": 0.5},
    ),
    "desert": Recipe(
        6,
        (0.25, 0.5),
        {"mountains": 3, "slope": 2, "none": 2.5, "hills": 0.7},
        {"sand": 1},
        {"lane road": 0.3, "cross road": 0.12, "path road": 0.1},
        {"person": 0.4, "horse": 0.3, "car": 0.3, "building": 0.25, "tree": 0.2, "bird": 0.15},
        {
            "none": 2,
            "horse": 2,
            "car": 2,
            "bus": 1.5,
            "person": 1.6,
            "building": 0.8,
            "dog": 0.6,
            "bird": 0.5,
            "fence": 0.4,
        },
    ),
    "wood": Recipe(
        7,
        (0.4, 0.6),
        {"forest": 1},
        {"grass": 4, "snow": 1.2, "flower": 0.7, "sand": 0.5},
        {"path road": 0.3, "lane road": 0.2, "stream water": 0.15, "far water": 0.12},
        {"tree": 0.9, "person": 0.5, "dog": 0.3, "horse": 0.2, "bird": 0.2, "car": 0.15},
        {
            "none": 2,
            "person": 1.6,
            "dog": 1.6,
            "horse": 1.4,
            "car": 1,
            "bird": 1,
            "boat": 0.2,
            "bus": 0.5,
        },
    ),
    "village": Recipe(
        8,
        (0.28, 0.48),
        {"hills": 2, "none": 2, "treeline": 2, "mountains": 1.2},
        {"grass": 5, "snow": 1, "flower": 0.8, "sand": 0.7, "road": 0.6},
        {"path road": 0.25, "cross road": 0.3, "pond flower": 0.25, "side water": 0.06},
        {
            "building": 1.4,
            "tree": 1.2,
            "fence": 0.4,
            "car": 0.5,
            "person": 0.6,
            "dog": 0.3,
            "bird": 0.2,
        },
        {
            "none": 0.8,
            "building": 4,
            "car": 1.4,
            "fence": 1,
            "dog": 0.8,
            "person": 0.8,
            "tree": 0.6,
        },
    ),
    "air": Recipe(
        2.5,
        (0.7, 1.0),
        {"none": 3, "hills": 0.6, "mountains": 0.8, "treeline": 0.8},
        {"grass": 1, "water": 1.5, "sand": 0.8, "snow": 0.6},
        {},
        {"bird": 1.0},
        {"none": 1, "bird": 5},
        down=0.0,
    ),
}
"""All kinds of place, by a name that no caption uses."""
