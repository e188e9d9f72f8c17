"""Text, JSON and YAML that somebody else wrote: a value of the expected kind, or one sentence.

Every file of names, numbers and settings comes through here, so that one rule holds for encodings,
line ends, nesting, aliases and numbers. A document that is not what it should be is a `PgsegError`
that names it; no other exception leaves this module.
"""

import json
import math
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from pgseg_core.errors import DataError, PgsegError

T = TypeVar("T")

MOST_DEPTH = 64
"""Lists and mappings within each other, at most."""
MOST_YAML_VALUES = 100_000
"""Values of a YAML document, with aliases written out, at most."""
_SMALL = 4_000_000
"""Characters up to which a JSON document is walked through for its depth."""
_LONG_NUMBER = re.compile(r"\d{19}|[eE]\+?\d{3}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_INTEGERS = (-(2**63), 2**64)
_ENCODINGS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def decode_text(content: bytes, *, name: str, error: type[PgsegError] = DataError) -> str:
    """Return bytes as text: UTF-8, or UTF-16 and UTF-32 that begin with a byte order mark.

    The byte order mark is left out. Line ends stay as they are: `str.splitlines` and the csv
    module know them all.

    Args:
        content: The bytes.
        name: What they are, for the error.
        error: Which `PgsegError` to raise.
    """
    encoding = next((each for mark, each in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as problem:
        raise error(
            f"{name}: byte {problem.start} is not {encoding.removesuffix('-sig').upper()} text",
            hint="Save it as UTF-8.",
        ) from None


def read_text(path: Path, *, error: type[PgsegError] = DataError) -> str:
    """Return a text file's content (see `decode_text`)."""
    return decode_text(_read_bytes(path, error), name=str(path), error=error)


def parse_json(content: str | bytes, *, name: str, error: type[PgsegError] = DataError) -> Any:
    """Return a JSON document's value, of plain types.

    Args:
        content: The document.
        name: What it is, for the error.
        error: Which `PgsegError` to raise where it is no JSON, holds NaN or infinity, an integer
            beyond 64 bits, half a surrogate pair, or more than `MOST_DEPTH` levels.
    """
    text = content if isinstance(content, str) else decode_text(content, name=name, error=error)
    try:
        value = json.loads(text, cls=_careful(bool(_LONG_NUMBER.search(text))))
        if len(text) <= _SMALL:
            _refuse_deep(value)
        if "\\ud" in text or "\\uD" in text or _LONE_SURROGATE.search(text):
            _refuse_surrogates(value)
    except RecursionError:
        raise error(f"{name} is nested too deeply") from None
    except ValueError as problem:
        raise error(f"{name} is not valid JSON: {problem}") from None
    return value


def read_json(path: Path, *, error: type[PgsegError] = DataError) -> Any:
    """Return a JSON file's value (see `parse_json`)."""
    return parse_json(_read_bytes(path, error), name=str(path), error=error)


def parse_yaml(content: str | bytes, *, name: str, error: type[PgsegError] = DataError) -> Any:
    """Return a YAML document's value, of plain types; None where it is empty.

    Args:
        content: The document.
        name: What it is, for the error.
        error: Which `PgsegError` to raise where it is no YAML, has more than `MOST_DEPTH` levels,
            or more than `MOST_YAML_VALUES` values once its aliases are written out.
    """
    text = content if isinstance(content, str) else decode_text(content, name=name, error=error)
    try:
        value = yaml.safe_load(text)
        _refuse_deep(value, most=MOST_YAML_VALUES)
    except RecursionError:
        raise error(f"{name} is nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError, TypeError, AttributeError) as problem:
        shown = " ".join(str(problem).split())
        raise error(f"{name} is not valid YAML: {shown}") from None
    return value


def read_yaml(path: Path, *, error: type[PgsegError] = DataError) -> Any:
    """Return a YAML file's value (see `parse_yaml`)."""
    return parse_yaml(_read_bytes(path, error), name=str(path), error=error)


def checked(value: Any, shape: type[T], *, name: str, error: type[PgsegError] = DataError) -> T:
    """Return a document's value as the type that it must have.

    Args:
        value: What was read.
        shape: The type: `dict[str, float]`, a TypedDict, `list[Entry]`. Types are strict: "3" is no
            number, 1.5 is no integer, True is neither. Keys that a TypedDict does not name are
            left out.
        name: What the document is, for the error.
        error: Which `PgsegError` to raise.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - takes a while, and not all are checked

    try:
        return cast("T", _ADAPTERS[shape].validate_python(value, strict=True))
    except RecursionError:
        raise error(f"{name} is nested too deeply") from None
    except ValidationError as problem:
        fault = problem.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        shown = _shown(fault.get("input"))
        sentence = fault["msg"][:1].lower() + fault["msg"][1:]
        raise error(f"{name}{': ' if where else ''}{where}: {sentence}{shown}") from None


class _Adapters(dict[Any, Any]):
    """What checks a type, made when it is first asked for."""

    def __missing__(self, shape: Any) -> Any:
        from pydantic import TypeAdapter  # noqa: PLC0415 - as above

        self[shape] = TypeAdapter(shape)
        return self[shape]


_ADAPTERS = _Adapters()


@cache
def _careful(every_number: bool) -> type[json.JSONDecoder]:
    """Return a decoder that takes no number which is none; one that looks at each is slower."""

    class Careful(json.JSONDecoder):
        def __init__(self) -> None:
            numbers = {"parse_int": _integer, "parse_float": _finite} if every_number else {}
            super().__init__(parse_constant=_refuse_constant, **numbers)  # type: ignore[arg-type]

    return Careful


def _shown(value: Any) -> str:
    if value is None or isinstance(value, str | int | float | bool):
        text = repr(value)
        return f" (found: {text if len(text) <= 60 else text[:57] + '...'})"
    return ""


def _read_bytes(path: Path, error: type[PgsegError]) -> bytes:
    """Return a regular file's bytes; no device, pipe or folder."""
    try:
        if path.exists() and not path.is_file():
            raise error(f"{path} is not a file")
        return path.read_bytes()
    except (OSError, ValueError) as problem:  # ValueError: a name with a zero byte
        reason = problem.strerror if isinstance(problem, OSError) else problem
        raise error(f"{path} cannot be read ({reason})") from None


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


def _integer(text: str) -> int:
    if len(text) <= 20 and _INTEGERS[0] <= (value := int(text)) < _INTEGERS[1]:
        return value
    raise ValueError(f"the number {text[:20]}... is beyond 64 bits")


def _finite(text: str) -> float:
    if math.isfinite(value := float(text)):
        return value
    raise ValueError(f"the number {text[:20]} is too large")


def _refuse_deep(value: Any, *, most: int | None = None) -> None:
    """Refuse what has too many levels, or too many values once shared ones are written out."""
    seen = 0
    level = [value]
    for _ in range(MOST_DEPTH):
        below: list[Any] = []
        for each in level:
            values = _below(each)
            seen += len(values)
            if most is not None and seen > most:
                raise ValueError(f"more than {most:,} values")
            below += values
        if not below:
            return
        level = below
    raise ValueError(f"more than {MOST_DEPTH} levels of nesting")


def _below(value: Any) -> Collection[Any]:
    """Return the values that lie directly in a value."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _refuse_surrogates(value: Any) -> None:
    level = [value]
    while level:
        for each in level:
            names = each if isinstance(each, dict) else (each,)
            if any(isinstance(name, str) and _LONE_SURROGATE.search(name) for name in names):
                raise ValueError("half a surrogate pair is not text")
        level = [below for each in level for below in _below(each)]
