"""What the masks and the captions of `scenes` are about: the classes and their everyday words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SceneClass:
    """One class of the set."""

    name: str
    """Canonical name, as a report prints it."""
    synonyms: tuple[str, ...]
    """Other words captions use for it; none is shared between classes."""
    colour: tuple[int, int, int]
    """What stands for it in a coloured mask: 8-bit red, green and blue."""

    @property
    def words(self) -> tuple[str, ...]:
        """The name and its synonyms."""
        return (self.name, *self.synonyms)


CLASSES: tuple[SceneClass, ...] = (
    SceneClass("sky", (), (150, 205, 245)),
    SceneClass("mountain", ("mountains", "hill", "hills", "peak", "peaks"), (140, 120, 110)),
    SceneClass("tree", ("trees", "pine", "palm", "forest", "woods"), (30, 110, 45)),
    SceneClass("grass", ("lawn", "meadow", "pasture", "field"), (130, 195, 80)),
    SceneClass("flower", ("flowers", "blossoms", "wildflowers"), (235, 110, 190)),
    SceneClass("road", ("street", "path", "pavement", "asphalt"), (105, 105, 115)),
    SceneClass("sand", ("beach", "dunes"), (235, 210, 140)),
    SceneClass("snow", (), (245, 248, 252)),
    SceneClass("water", ("sea", "ocean", "lake", "river"), (40, 95, 185)),
    SceneClass(
        "building", ("buildings", "house", "houses", "barn", "tower", "church"), (185, 90, 70)
    ),
    SceneClass("fence", ("fences", "railing"), (150, 105, 50)),
    SceneClass("car", ("cars", "van", "pickup"), (220, 40, 50)),
    SceneClass("bus", ("buses",), (250, 150, 30)),
    SceneClass("boat", ("boats", "sailboat", "ship"), (120, 40, 150)),
    SceneClass(
        "person", ("people", "man", "men", "woman", "women", "boy", "girl"), (255, 185, 150)
    ),
    SceneClass("dog", ("dogs", "puppy"), (60, 210, 190)),
    SceneClass("horse", ("horses", "pony"), (95, 50, 15)),
    SceneClass("bird", ("birds", "seagull", "duck"), (250, 235, 60)),
)
"""The classes, in the order of the mask's indices."""

CLASS_NAMES: tuple[str, ...] = tuple(entry.name for entry in CLASSES)
"""Canonical names, in the order of the mask's indices."""

CLASS_INDEX: dict[str, int] = {name: index for index, name in enumerate(CLASS_NAMES)}
"""From a canonical name to its value in a mask."""
