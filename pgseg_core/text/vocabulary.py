"""Class lists: what a user or a data set calls its classes, and the words they are asked for by.

A data set's name ("pottedplant") and the words put into a prompt ("plant") are two things: reports
and legends show the first, the text encoder reads the second.

A class file has one class a line: `name`, or `name, synonym, ...` (every one is a prompt), or
`name: wording, ...` (the name itself is then not a prompt). `#` starts a comment; quotes keep a
comma, colon or hash inside a name. A file that ends in .json says the same as
{"classes": {"name": {"synonyms": ["wording", ...]}, ...}}.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgseg_core.errors import DataError, did_you_mean
from pgseg_core.text.nouns import noun_lexicon
from pgseg_core.vocabularies import BUILTIN_VOCABULARIES, vocabulary_text

ALIASES = {"coco": "coco-object", "ade": "ade20k", "voc": "voc12", "voc20": "voc12"}
"""Shorter names of `BUILTIN_VOCABULARIES`."""


@dataclass(frozen=True)
class ClassName:
    """One class.

    Attributes:
        name: As the data set or the user writes it; shown in reports.
        prompts: One or more wordings for the text encoder, the preferred one first.
    """

    name: str
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """The classes of a question, in order; never empty, no name twice (compared without case).

    Raises:
        DataError: No class, an empty name or prompt, or a name given twice.
    """

    classes: tuple[ClassName, ...]

    def __post_init__(self) -> None:
        if not self.classes:
            raise DataError("the class list is empty", hint='Name classes: --classes "sky,road"')
        first: dict[str, str] = {}
        for entry in self.classes:
            if not entry.name.strip() or not all(prompt.strip() for prompt in entry.prompts):
                raise DataError(
                    f"the class list has an empty name beside {_shown(self.names)}",
                    hint="Take out the stray comma, or put the name back.",
                )
            if not entry.prompts:
                raise DataError(
                    f"class '{entry.name}' has no wording to look for",
                    hint=f"Write it after the colon: {entry.name}: wording",
                )
            key = name_key(entry.name)
            if key in first:
                raise DataError(
                    f"class '{entry.name}' is named twice"
                    + (f" (as '{first[key]}' before)" if first[key] != entry.name else ""),
                    hint="Keep one of them; capitals and spaces do not tell classes apart.",
                )
            first[key] = entry.name

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes as the data set or the user calls them."""
        return tuple(entry.name for entry in self.classes)

    @property
    def prompts(self) -> tuple[tuple[str, ...], ...]:
        """The wordings of each class, in the order of `names`."""
        return tuple(entry.prompts for entry in self.classes)

    def select(self, names: Iterable[str]) -> "Vocabulary":
        """Return the classes of these names, in their order.

        Args:
            names: Names of this vocabulary, compared without case.

        Raises:
            DataError: A name is not in this vocabulary.
        """
        known = {name_key(entry.name): entry for entry in self.classes}
        wanted = tuple(names)
        unknown = [name for name in wanted if name_key(name) not in known]
        if unknown:
            raise DataError(
                f"no class called {_shown(unknown)} in this vocabulary",
                hint=did_you_mean(unknown[0], self.names, what="It has"),
            )
        return Vocabulary(tuple(known[name_key(name)] for name in wanted))


def as_vocabulary(classes: Vocabulary | Sequence[str]) -> Vocabulary:
    """Return what a caller names classes by: a vocabulary, plain names, or one text (see below).

    Raises:
        DataError: The list is empty or names a class twice.
    """
    if isinstance(classes, Vocabulary):
        return classes
    if isinstance(classes, str):
        return load_vocabulary(classes)
    return Vocabulary(tuple(ClassName(name, (name,)) for name in classes))


def load_vocabulary(source: str) -> Vocabulary:
    """Return the classes that a command-line value speaks of.

    Args:
        source: A name of `BUILTIN_VOCABULARIES`, `@file.txt`, or class names between commas.

    Raises:
        DataError: The file cannot be read, or the list is empty or names a class twice.
    """
    if source.strip() in BUILTIN_VOCABULARIES:
        return builtin_vocabulary(source.strip())
    return parse_class_list(source)


def builtin_vocabulary(name: str) -> Vocabulary:
    """Return a vocabulary that ships with pgseg.

    Raises:
        DataError: There is none of that name.
    """
    name = ALIASES.get(name, name)
    if name not in BUILTIN_VOCABULARIES:
        hint = did_you_mean(name, BUILTIN_VOCABULARIES, what="Built in")
        raise DataError(
            f"no built-in vocabulary called '{name}'",
            hint=f"{hint}. Or give a file: @classes.txt",
        )
    return parse_class_lines(vocabulary_text(name).splitlines(), where=f"{name}.txt")


def noun_vocabulary() -> Vocabulary:
    """Return the nouns that pgseg knows: some two thousand things and places in photos."""
    return Vocabulary(tuple(ClassName(noun, (noun,)) for noun in sorted(noun_lexicon())))


def parse_class_list(value: str) -> Vocabulary:
    """Read class names between commas, or `@file.txt`.

    Args:
        value: Such as `sky,road,"cup, glass or mug"`; spaces around names do not count.

    Raises:
        DataError: Empty or double names, an open quote, or a file that cannot be read.
    """
    if value.strip().startswith("@"):
        return read_class_file(Path(value.strip()[1:]))
    if not value.strip():
        return Vocabulary(())
    fields = _split(value, ",", where=f"the class list {value!r}")
    return Vocabulary(tuple(ClassName(name, (name,)) for name in map(_unquote, fields)))


def read_class_file(path: Path) -> Vocabulary:
    """Read a class file (see the top of this module).

    Raises:
        DataError: The file cannot be read, or holds no class, an empty name or one class twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the class file {path} cannot be read: {error}",
            hint="Give a UTF-8 text file with one class a line.",
        ) from error
    if path.suffix.lower() == ".json":
        return _parse_class_json(text, where=str(path))
    return parse_class_lines(text.splitlines(), where=str(path))


def _parse_class_json(text: str, *, where: str) -> Vocabulary:
    try:
        classes = json.loads(text)["classes"]
        entries = tuple(
            ClassName(name, tuple(map(str, about.get("synonyms") or [name])))
            for name, about in classes.items()
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{where} is no class file ({error!r})",
            hint='Write {"classes": {"water": {"synonyms": ["water", "lake"]}, ...}}',
        ) from error
    try:
        return Vocabulary(entries)
    except DataError as error:
        raise DataError(f"{where}: {error.message}", hint=error.hint) from error


def parse_class_lines(lines: Sequence[str], *, where: str) -> Vocabulary:
    """Read one class a line, synonyms after commas.

    Args:
        lines: The lines of a class file.
        where: What to call the file in an error.

    Raises:
        DataError: No class, an empty name, or one class twice; names the file.
    """
    classes = []
    for number, line in enumerate(lines, start=1):
        here = f"{where}, line {number}"
        content = _split(line, "#", where=here)[0].strip()
        if not content:
            continue
        head, *rest = _split(content, ":", where=here)
        if len(rest) > 1:
            raise DataError(
                f"{here}: more than one colon in '{content}'",
                hint='Put a name that holds a colon between quotes: "a:b"',
            )
        wordings = tuple(_unquote(field) for field in _split((rest or [head])[0], ",", where=here))
        name = _unquote(head) if rest else wordings[0]
        if not name or not all(wordings):
            raise DataError(
                f"{here}: an empty name in '{content}'",
                hint="Take out the stray comma or colon.",
            )
        classes.append(ClassName(name, tuple(dict.fromkeys(wordings))))
    if not classes:
        raise DataError(f"{where} names no class", hint="Write one class a line.")
    try:
        return Vocabulary(tuple(classes))
    except DataError as error:
        raise DataError(f"{where}: {error.message}", hint=error.hint) from error


def _split(text: str, separator: str, *, where: str) -> list[str]:
    """Split at every separator that does not stand between double quotes; quotes are kept."""
    fields = [""]
    quoted = False
    for character in text:
        if character == '"':
            quoted = not quoted
        if character == separator and not quoted:
            fields.append("")
        else:
            fields[-1] += character
    if quoted:
        raise DataError(f"{where}: a quote is opened and not closed", hint='Close it with "')
    return fields


def _unquote(field: str) -> str:
    return " ".join(field.replace('"', "").split())


def name_key(name: str) -> str:
    """Return what two names share that are one: capitals and spaces do not tell them apart."""
    return " ".join(name.split()).casefold()


def _shown(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names if name.strip()) or "nothing"
