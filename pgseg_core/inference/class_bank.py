"""Classes and background words as vectors, ready to be compared with groups.

The vectors are an engine's own kind of array: what is done to them here, every kind can.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from jaxtyping import Float

from pgseg_core.text.background import BackgroundWords


@dataclass(frozen=True)
class ClassBank:
    """Classes ready to be compared with groups."""

    names: tuple[str, ...]
    vectors: Float[Any, "c e"]
    """Unit vectors."""
    wordings: tuple[tuple[str, ...], ...] = ()
    """What each class was asked for by; nothing where vectors came from elsewhere."""
    templates: str = "simple"
    """The prompt templates, in which background words are asked for too."""

    def select(self, places: Sequence[int]) -> "ClassBank":
        """Return some of the classes, in the order of their places."""
        return replace(
            self,
            names=tuple(self.names[at] for at in places),
            vectors=self.vectors[list(places)],
            wordings=tuple(self.wordings[at] for at in places) if self.wordings else (),
        )


@dataclass(frozen=True)
class BackgroundBank:
    """Background words ready to compete with classes."""

    words: BackgroundWords
    vectors: Float[Any, "w e"]
    """Unit vectors."""

    def beside(self, bank: ClassBank) -> "BackgroundBank":
        """Leave out the words that a class is called or asked for by."""
        kept = self.words.beside([*bank.names, *chain.from_iterable(bank.wordings)])
        places = [place for place, word in enumerate(self.words.words) if word in kept.words]
        return BackgroundBank(kept, self.vectors[places])
