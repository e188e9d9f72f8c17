"""What an exported model's folder holds: two networks, and the few numbers around them.

`image.onnx` takes `pixels` (b, 3, h, w) to `groups` (b, g, e), or (b, y x, e) where patches answer
for themselves; `images` (b, e); and `maps` (b, g, y, x). `text.onnx` takes `tokens` (b, t) to
`prompts` (b, e). `pgseg.json` is a `Description`; the weights' `card.json` lies beside it where
they have one. Any runtime that reads ONNX can do the rest, which docs/onnx.md explains.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pgseg_core.errors import CheckpointError
from pgseg_core.version import VERSION

FORMAT = 1
IMAGE, TEXT, ABOUT = "image.onnx", "text.onnx", "pgseg.json"
IMAGE_OUTPUTS, TEXT_OUTPUTS = ("groups", "images", "maps"), ("prompts",)
INSIDE = "onnx"
"""A checkpoint's folder may hold its exported model under this name."""
_EXPORT = "pgseg export onnx --weights {} --out {}"


@dataclass(frozen=True)
class Reading:
    """How an image is read at test time; `InferenceConfig` explains each value."""

    short_side: int
    long_side: int
    antialias: bool
    window: int
    stride: int
    patch_share: float
    """Above 0 `groups` has a vector for each patch, its group's and its own already mixed."""
    patch_affinity: float = 0.0
    """Above 0 those vectors are already shared by patches that look alike."""
    candidates: str = "image"
    """Whose best classes a window may show: the `image`'s own vector's, or its best group's."""
    fade_windows: bool = False


@dataclass(frozen=True)
class Description:
    """What the networks do not say of themselves."""

    patch_size: int
    """Side of a patch in pixels; windows are filled up to whole patches."""
    context_length: int
    """Most ids that a prompt may have."""
    scale: float
    """1 / temperature of the contrastive loss."""
    reading: Reading
    weights: str
    """SHA-256 of the weights it was made of."""


def write_description(folder: Path, description: Description) -> None:
    """Write `pgseg.json`."""
    values = {"format": FORMAT, "pgseg": VERSION, **asdict(description)}
    (folder / ABOUT).write_text(json.dumps(values, indent=2) + "\n", "utf-8")


def read_description(folder: Path) -> Description:
    """Read `pgseg.json`.

    Raises:
        CheckpointError: It is damaged or of a newer format, or a network is missing.
    """
    try:
        values = json.loads((folder / ABOUT).read_text("utf-8"))
        found = values.pop("format")
        values.pop("pgseg")
    except (OSError, ValueError, LookupError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / ABOUT}: cannot be read ({error})", hint=_again()
        ) from None
    if found != FORMAT:
        raise CheckpointError(
            f"{folder}: exported in format {found}, but this pgseg reads format {FORMAT}",
            hint=_again(),
        )
    for name in (IMAGE, TEXT):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: lacks {name}", hint=_again())
    try:
        return Description(**{**values, "reading": Reading(**values["reading"])})
    except (LookupError, TypeError) as error:
        raise CheckpointError(f"{folder / ABOUT}: damaged ({error})", hint=_again()) from None


def is_exported(folder: Path) -> bool:
    """Say whether a folder holds an exported model itself."""
    return (folder / ABOUT).is_file()


def find_exported(weights: Path) -> Path:
    """Return the exported model that weights are or hold.

    Args:
        weights: An exported model's folder, or a checkpoint's or run's with one inside.

    Raises:
        CheckpointError: There is none.
    """
    for folder in (weights, weights / INSIDE):
        if is_exported(folder):
            return folder
    if not weights.exists():
        raise CheckpointError(f"{weights}: no such weights", hint=_again())
    raise CheckpointError(
        f"{weights}: not exported to ONNX yet",
        hint=_EXPORT.format(weights, f"{weights.name}.onnx"),
    )


def _again() -> str:
    return f"Export it again: {_EXPORT.format('runs/...', 'model.onnx')}"
