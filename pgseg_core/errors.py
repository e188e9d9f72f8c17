"""Errors meant for the person at the keyboard: what is wrong, and what to type next.

Everything a user can cause is a `PgsegError`; the command line prints it in one place and exits
with code 2. Any other exception is a bug of ours and keeps its traceback.
"""

import difflib
from collections.abc import Iterable

MOST_NAMES_SHOWN = 24


class PgsegError(Exception):
    """Something the user can put right.

    Attributes:
        message: One sentence that names the file, flag or key at fault.
        hint: What to type or look at next; empty when there is nothing to add.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(PgsegError):
    """A preset, configuration file or `--set` value is wrong."""


class DataError(PgsegError):
    """An image, caption table, shard or evaluation set is missing, damaged or inconsistent."""


class CheckpointError(PgsegError):
    """Weights are missing, damaged, of another shape, or unsafe to open."""


class BackendError(PgsegError):
    """A training backend is unknown, not installed, or cannot run on this machine."""


class TrainingError(PgsegError):
    """A run cannot go on, for example because a loss is not finite."""


def nearest_name(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return the known name that is most like an unknown one; empty where none is so like."""
    folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=likeness)
    return folded[close[0]] if close else ""


def did_you_mean(name: str, known: Iterable[str], *, what: str = "There are") -> str:
    """Return a hint for an unknown name: the nearest known one, and the known ones.

    Args:
        name: What was typed.
        known: The names that exist.
        what: Begins the list of them.
    """
    names = list(known)
    nearest = nearest_name(name, names)
    shown = ", ".join(names[:MOST_NAMES_SHOWN])
    more = f", and {len(names) - MOST_NAMES_SHOWN} more" if len(names) > MOST_NAMES_SHOWN else ""
    guess = f"Did you mean {nearest}? " if nearest else ""
    return f"{guess}{what}: {shown}{more}" if names else guess.strip()
