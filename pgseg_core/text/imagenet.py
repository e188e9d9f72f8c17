"""What ImageNet's classes are called, for what its classifiers teach."""

from functools import cache
from importlib import resources

from pgseg_core.text.open_clip_parts import open_clip_part


@cache
def imagenet_names() -> tuple[str, ...]:
    """Return the classes' names in their usual order (open_clip's), each with what it is a kind of.

    Names are often narrow ("Siamese cat" is a cat by its name, "Labrador Retriever" is not a dog);
    `imagenet_kinds.txt` says what they lack.
    """
    names: list[str] = list(open_clip_part("zero_shot_metadata").IMAGENET_CLASSNAMES)
    for kind, members in imagenet_kinds().items():
        for index in members:
            if kind not in names[index].split():
                names[index] += f" {kind}"
    return tuple(names)


@cache
def imagenet_kinds() -> dict[str, tuple[int, ...]]:
    """Return the numbers of the classes that are of one kind, by the kind's noun."""
    text = (resources.files("pgseg_core.text") / "imagenet_kinds.txt").read_text("utf-8")
    kinds = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            kind, ranges = line.split(":")
            ends = [part.strip().partition("-") for part in ranges.split(",")]
            kinds[kind] = tuple(
                index
                for first, _, last in ends
                for index in range(int(first), int(last or first) + 1)
            )
    return kinds
