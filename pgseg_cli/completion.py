"""What the shell may complete: names of weights, lists, formats. Reads folder names, no more."""

from collections.abc import Callable, Iterator

FORMATS = ("coco", "labelme", "geojson", "npz", "png")
TEMPLATES = ("simple", "subset", "full")
TASKS = ("segmentation", "retrieval", "classification")
DATASETS = (
    "voc12", "voc20", "context59", "context60", "coco-object", "coco-stuff", "ade20k",
    "cityscapes", "camvid", "lvis", "imagenet-s", "folder", "scenes",
)  # fmt: skip
PROTOCOLS = ("groupvit", "sclip", "tcl")
BASELINES = ("background", "frequent", "random-classes", "best-class", "random-groups")
PRESETS = ("groupvit-tiny", "groupvit-vits16", "pgseg-lite0", "pgseg-tiny", "pgseg-vits16")
"""Names that live beside heavy imports elsewhere; a test holds them together."""

Complete = Callable[[str], Iterator[str]]


def complete_from(*names: str) -> Complete:
    """Return what completes one of some names."""
    return lambda incomplete: (name for name in names if name.startswith(incomplete))


def complete_list(*names: str) -> Complete:
    """Return what completes the last of several names between commas."""

    def complete(incomplete: str) -> Iterator[str]:
        before, comma, last = incomplete.rpartition(",")
        return (f"{before}{comma}{name}" for name in names if name.startswith(last))

    return complete


def complete_weights(incomplete: str) -> Iterator[str]:
    """Complete names of bundled weights and runs here; the shell itself completes paths."""
    from pgseg_core.weights import list_weights

    names = (str(card.path) if card.kind == "run" else card.name for card in list_weights())
    return (name for name in names if name.startswith(incomplete))


def complete_vocabularies(incomplete: str) -> Iterator[str]:
    """Complete names of built-in class lists."""
    from pgseg_core.vocabularies import BUILTIN_VOCABULARIES

    return (name for name in ("coco", *BUILTIN_VOCABULARIES) if name.startswith(incomplete))


def complete_background_words(incomplete: str) -> Iterator[str]:
    """Complete names of built-in lists of background words; the shell itself completes paths."""
    from pgseg_core.vocabularies import BACKGROUND_LISTS

    return (name for name in (*BACKGROUND_LISTS, "none") if name.startswith(incomplete))


def complete_refinements(incomplete: str) -> Iterator[str]:
    """Complete names of refinements."""
    from pgseg_core.inference.refinements import REFINEMENTS

    return (name for name in REFINEMENTS if name.startswith(incomplete))


def complete_runtimes(incomplete: str) -> Iterator[str]:
    """Complete names of runtimes."""
    from pgseg_core.methods.load import RUNTIMES

    return (name for name in RUNTIMES if name.startswith(incomplete))
