"""Weights by name: those that ship with pgseg, those kept for this user, and the runs here.

Only folders and small files are read, so that a list of them, or a shell's completion, is instant.

Bundled weights lie in `pgseg_core/weights/NAME/`, kept ones in `~/.cache/pgseg/weights/NAME/` (or
below `PGSEG_CACHE`): a checkpoint folder with a `card.json` that says what they are.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from pgseg_core.errors import CheckpointError, did_you_mean

WEIGHTS = "model.safetensors"
"""The file that makes a folder a checkpoint."""
CHECKPOINTS, RUNS = "checkpoints", "runs"
CARD = "card.json"
DEFAULT = "default"
"""Key of a card: true for the bundled weights that are taken when none are named."""


@dataclass(frozen=True)
class Recommended:
    """How weights are best asked for background, as found out on images after training.

    On a card: {"inference": {"background": 0.3, "background_words": "stuff", "tuned_on": "..."}}.
    """

    background: float | None = None
    """Threshold; None where nothing is recommended."""
    background_words: str | tuple[str, ...] | None = None
    """A list's name, or the words."""
    tuned_on: str = ""
    """The images that this was chosen on."""


@dataclass(frozen=True)
class WeightsCard:
    """Weights that can be named, and what is known of them."""

    name: str
    path: Path
    """Checkpoint or run folder."""
    kind: str
    """`bundled`, `cached` or `run`."""
    size: int
    """Bytes of the weights."""
    licence: str = ""
    training_data: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    """What was measured, by a few words: {"VOC12 mIoU": 0.41}."""
    about: str = ""
    default: bool = False
    inference: Recommended = Recommended()


def bundled_folder() -> Path:
    """Return where the weights lie that ship with pgseg."""
    return Path(str(resources.files("pgseg_core"))) / "weights"


def cache_folder() -> Path:
    """Return where weights lie that are kept for this user."""
    own = os.environ.get("PGSEG_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(own) if own else Path(home) / "pgseg") / "weights"


def list_checkpoints(run: Path) -> list[Path]:
    """Return a run folder's checkpoints, oldest first."""
    return sorted(p for p in (run / CHECKPOINTS).glob("step-*") if (p / WEIGHTS).is_file())


def list_weights() -> list[WeightsCard]:
    """Return all weights that have a name: bundled, then cached, then runs here, newest first."""
    cards = [
        card
        for kind, folder in (("bundled", bundled_folder()), ("cached", cache_folder()))
        for path in sorted(folder.glob("*/"))
        if (path / WEIGHTS).is_file() and (card := _card(path, kind))
    ]
    return cards + [_run_card(run) for run in _runs()]


def weights_hash(origin: str) -> str:
    """Name a model by its weights: the first 12 hexadecimal digits of their file's SHA-256.

    Args:
        origin: Its checkpoint folder. A model that was not loaded from one, such as one that is
            being trained, has no origin and no hash: both are empty.
    """
    file = Path(origin) / WEIGHTS
    if not origin or not file.is_file():
        return ""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:12]


def weights_name(origin: str) -> str:
    """Return what a user calls weights: the name of bundled and cached ones, else their folder."""
    for folder in (bundled_folder(), cache_folder()):
        if origin and Path(origin).is_relative_to(folder):
            return Path(origin).relative_to(folder).parts[0]
    return origin


def find_weights(weights: str | Path | None) -> Path:
    """Return the folder that is meant.

    Named ones are a path, or a name that `list_weights` knows (bundled before cached before runs).
    When none are named: the bundled default, else the newest run under `runs/`.

    Raises:
        CheckpointError: There is nothing of that name, or nothing at all.
    """
    if weights is not None:
        return _named(str(weights))
    cards = list_weights()
    bundled = [card for card in cards if card.kind == "bundled"]
    chosen = [card for card in bundled if card.default] or [c for c in cards if c.kind == "run"]
    if not chosen:
        raise CheckpointError(
            f"no weights named, and no run under {RUNS}/ in this folder",
            hint="Train a model (pgseg train), or name one: --weights runs/...",
        )
    return chosen[0].path


def recommended_inference(checkpoint: Path) -> Recommended:
    """Return what a checkpoint folder's card recommends; nothing without a card.

    Raises:
        CheckpointError: The card cannot be read.
    """
    return _recommended(_read_card(checkpoint), checkpoint / CARD)


def _named(name: str) -> Path:
    if Path(name).exists():
        return Path(name)
    cards = list_weights()
    for card in cards:
        if card.name == name:
            return card.path
    known = [card.name if card.kind != "run" else str(card.path) for card in cards]
    hint = did_you_mean(name, known, what="Known")
    raise CheckpointError(
        f"{name}: no such weights",
        hint=f"{hint}. Or train some: pgseg train".removeprefix(". "),
    )


def _card(path: Path, kind: str) -> WeightsCard:
    """Describe a folder by its card; weights without a card are known by their name alone."""
    values = _read_card(path)
    try:
        scores = {str(name): float(score) for name, score in values.get("scores", {}).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise _bad_card(path / CARD, error) from None
    return WeightsCard(
        name=path.name,
        path=path,
        kind=kind,
        size=(path / WEIGHTS).stat().st_size,
        licence=str(values.get("licence", "")),
        training_data=str(values.get("training_data", "")),
        scores=scores,
        about=str(values.get("about", "")),
        default=kind == "bundled" and bool(values.get(DEFAULT, False)),
        inference=_recommended(values, path / CARD),
    )


def _read_card(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / CARD).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _bad_card(folder / CARD, error) from None
    if not isinstance(values, dict):
        raise _bad_card(folder / CARD, "it is no object")
    return values


def _recommended(card: dict[str, Any], file: Path) -> Recommended:
    values = card.get("inference", {})
    known = [each.name for each in fields(Recommended)]
    if not isinstance(values, dict) or not set(values) <= set(known):
        raise _bad_card(file, f"'inference' takes {', '.join(known)}")
    threshold, words = values.get("background"), values.get("background_words")
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        words = tuple(words)
    if not isinstance(words, str | tuple | None):
        raise _bad_card(file, "'background_words' is a list's name, or a list of words")
    if threshold is not None and not (isinstance(threshold, int | float) and 0 <= threshold <= 1):
        raise _bad_card(file, f"'background' is a threshold from 0 to 1, not {threshold!r}")
    return Recommended(threshold, words, str(values.get("tuned_on", "")))


def _bad_card(file: Path, problem: object) -> CheckpointError:
    return CheckpointError(
        f"{file} cannot be read ({problem})", hint="Put it right, or take it away."
    )


def _runs() -> list[Path]:
    """Return the runs here that have a checkpoint, the newest first."""
    runs = [folder for folder in Path(RUNS).glob("*") if list_checkpoints(folder)]
    return sorted(runs, key=lambda run: -list_checkpoints(run)[-1].stat().st_mtime)


def _run_card(run: Path) -> WeightsCard:
    newest = list_checkpoints(run)[-1]
    return WeightsCard(
        name=run.name,
        path=run,
        kind="run",
        size=(newest / WEIGHTS).stat().st_size,
        training_data=_trained_on(newest),
        about=newest.name,
    )


def _trained_on(checkpoint: Path) -> str:
    try:
        config = json.loads((checkpoint / "config.json").read_text("utf-8"))
        return str(config["data"]["shards"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""
