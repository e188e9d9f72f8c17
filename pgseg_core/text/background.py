"""Words that stand for the background: each competes like a class of its own, and answers as none.

A threshold calls background what fits no class well. Where a photo's surroundings have names
(grass, sky, wall), words for them say so directly.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgseg_core.errors import ConfigError, did_you_mean, nearest_name
from pgseg_core.text.vocabulary import (
    Vocabulary,
    name_key,
    parse_class_lines,
    parse_class_list,
    read_class_file,
)
from pgseg_core.vocabularies import BACKGROUND_LISTS, background_text

NO_WORDS = "none"
"""What a caller says for no words at all."""


@dataclass(frozen=True)
class BackgroundWords:
    """A list of words, and what it is called."""

    words: tuple[str, ...] = ()
    source: str = NO_WORDS
    """Name of the list or file; `given` for words that were named one by one."""

    @property
    def hash(self) -> str:
        """Name of the words, equal for equal ones; empty without any."""
        if not self.words:
            return ""
        text = json.dumps(self.words, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]

    def beside(self, wordings: Iterable[str]) -> "BackgroundWords":
        """Leave out the words that some class is asked for by: what they name is no background."""
        return self._where(wordings, taken=False)

    def taken(self, wordings: Iterable[str]) -> tuple[str, ...]:
        """Return the words that `beside` leaves out."""
        return self._where(wordings, taken=True).words

    def _where(self, wordings: Iterable[str], *, taken: bool) -> "BackgroundWords":
        known = {name_key(wording) for wording in wordings}
        words = tuple(word for word in self.words if (name_key(word) in known) == taken)
        return BackgroundWords(words, self.source)


NO_BACKGROUND_WORDS = BackgroundWords()


def load_background_words(
    source: BackgroundWords | str | Sequence[str] | None,
) -> BackgroundWords:
    """Return the words that a caller speaks of.

    Args:
        source: `none` (or None); a name of `BACKGROUND_LISTS`; a class file, with or without `@`;
            words between commas; a sequence of words; or what this function returned. Synonyms of
            a file's line are words of their own.

    Raises:
        ConfigError: A file that is not there.
        DataError: The file cannot be read, or a word is empty or named twice.
    """
    if isinstance(source, BackgroundWords):
        return source
    if source is None or (not isinstance(source, str) and not source):
        return NO_BACKGROUND_WORDS
    if not isinstance(source, str):
        given = parse_class_lines(source, where="the background words")
        return BackgroundWords(_words(given), "given")
    return _named(source.strip())


def _named(name: str) -> BackgroundWords:
    if name == NO_WORDS:
        return NO_BACKGROUND_WORDS
    if name in BACKGROUND_LISTS:
        lines = background_text(name).splitlines()
        return BackgroundWords(_words(parse_class_lines(lines, where=name)), name)
    path = Path(name.removeprefix("@"))
    if name.startswith("@") or path.is_file():
        return BackgroundWords(_words(read_class_file(path)), path.name)
    if nearest_name(name, BACKGROUND_LISTS) or path.suffix == ".txt":
        raise ConfigError(
            f"background words '{name}': neither a file nor a built-in list",
            hint=did_you_mean(name, (*BACKGROUND_LISTS, NO_WORDS), what="Built in")
            + ". Or name words between commas: grass,sky,wall",
        )
    return BackgroundWords(_words(parse_class_list(name)), "given")


def _words(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Take every wording of every line for a word of its own, once."""
    words = {name_key(word): word for prompts in vocabulary.prompts for word in prompts}
    return tuple(words.values())
