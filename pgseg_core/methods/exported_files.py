"""What an exported model's folder holds: two networks, and the few numbers around them.

`image.onnx` takes `pixels` (b, 3, h, w) to `groups` (b, g, e), or (b, y x, e) where patches answer
for themselves; `images` (b, e); and `maps` (b, g, y, x). `text.onnx` takes `tokens` (b, t) to
`prompts` (b, e). `pgseg.json` is a `Description`; the weights' `card.json` lies beside it where
they have one. Any runtime that reads ONNX can do the rest, which docs/onnx.md explains.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pgseg_core.documents import read_json
from pgseg_core.errors import CheckpointError
from pgseg_core.methods.method import Reading
from pgseg_core.version import VERSION

FORMAT = 2
"""Format 1, which had another list of what says how a photo is read, is read too."""
IMAGE, TEXT, ABOUT = "image.onnx", "text.onnx", "pgseg.json"
IMAGE_OUTPUTS, TEXT_OUTPUTS = ("groups", "images", "maps"), ("prompts",)
INSIDE = "onnx"
"""A checkpoint's folder may hold its exported model under this name."""
_EXPORT = "pgseg export onnx --weights {} --out {}"


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
    """How a photo is read."""
    patches_answer: bool
    """Whether `groups` has a vector for each patch, its group's and its own already mixed."""
    weights: str
    """SHA-256 of the weights it was made of."""

    def __post_init__(self) -> None:
        if min(self.patch_size, self.context_length - 2) < 1:
            raise ValueError("patch_size and context_length must be positive")


def write_description(folder: Path, description: Description) -> None:
    """Write `pgseg.json`."""
    values = {"format": FORMAT, "pgseg": VERSION, **asdict(description)}
    (folder / ABOUT).write_text(json.dumps(values, indent=2) + "\n", "utf-8")


def read_description(folder: Path) -> Description:
    """Read `pgseg.json`.

    Raises:
        CheckpointError: It is damaged or of a newer format, or a network is missing.
    """
    file = folder / ABOUT
    values = read_json(file, error=CheckpointError)
    if not isinstance(values, dict):
        raise CheckpointError(f"{file}: cannot be read (it is no object)", hint=_again())
    found = values.pop("format", None)
    values.pop("pgseg", None)
    if found not in (1, FORMAT):
        raise CheckpointError(
            f"{folder}: exported in format {found}, but this pgseg reads format {FORMAT}",
            hint=_again(),
        )
    for name in (IMAGE, TEXT):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: lacks {name}", hint=_again())
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - a part of a cold start

    try:
        known = _of_format_1(values) if found == 1 else values
        return TypeAdapter(Description).validate_python(known)
    except (ValidationError, LookupError, TypeError, AttributeError) as error:
        shown = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{file}: damaged ({shown})", hint=_again()) from None


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


def _of_format_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description of format 1 in today's words."""
    old = dict(values["reading"])
    alone = bool(old.pop("patch_share", 0))
    old.pop("patch_affinity", None)
    taper, chosen_by = old.pop("fade_windows", False), old.pop("candidates", "image")
    reading = {**old, "taper_windows": taper, "rule": {"top_k_by": chosen_by}}
    return {**values, "reading": reading, "patches_answer": alone}


def _again() -> str:
    return f"Export it again: {_EXPORT.format('runs/...', 'model.onnx')}"
