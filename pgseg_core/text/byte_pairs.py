"""CLIP's byte pairs: a text to the ids that every CLIP-style text encoder was made for.

The vocabulary is the file that open_clip ships, found beside it and read without importing it:
its own tokenizer brings torch, and its package torchvision and timm. Here nothing heavier than the
standard library is needed, save for texts with letters outside ASCII.
"""

import gzip
import html
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

START_TOKEN = 49406
"""Id in front of every caption."""
END_TOKEN = 49407
"""Id behind every caption; the text encoder reads the caption's feature there."""
PAD_TOKEN = 0
"""Id of the empty places behind the end token."""

_SPECIAL = {"<start_of_text>": START_TOKEN, "<end_of_text>": END_TOKEN}
_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
_NUM_MERGES = 49152 - 256 - 2
"""So many pairs of the file count; 512 single bytes and two special tokens come beside them."""
_END = "</w>"
"""Marks the last piece of a word."""
_PIECES = r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d"
_ASCII = re.compile(rf"{_PIECES}|[a-z]+|[0-9]|[^\sa-z0-9]+")

# Web captions hold millions of different words; past this many, all are forgotten.
_MAX_REMEMBERED_WORDS = 100_000

Pair = tuple[str, str]


def caption_rows(texts: Sequence[str], context_length: int) -> list[list[int]]:
    """Turn captions into rows of ids, exactly as open_clip does.

    Args:
        texts: Captions in any language and of any length, empty ones included.
        context_length: Ids in a row, start and end included; at least 3.

    Returns:
        Ids in [0, 49407]: start, words, end, then 0. A caption that is too long is cut and keeps
        its end token.
    """
    rows = []
    for text in texts:
        row = [START_TOKEN, *text_ids(text)[: context_length - 2], END_TOKEN]
        rows.append(row + [PAD_TOKEN] * (context_length - len(row)))
    return rows


def text_ids(text: str) -> list[int]:
    """Return the ids of a text's words.

    Most captions are plain ASCII, which the repair of mangled Unicode leaves alone, and no token
    crosses a space: the ids of such a caption are those of its words in turn.
    """
    words = _remembered_words()
    ids: list[int] = []
    if text.isascii() and text.isprintable() and "&" not in text:  # & may begin an HTML entity
        for word in text.lower().split():
            if word not in words:
                words[word] = _ids(_ASCII.findall(word))
            ids += words[word]
    else:
        ids = _ids(_split_any()(_repaired(text)))
    if len(words) > _MAX_REMEMBERED_WORDS:
        words.clear()
    return ids


def _repaired(text: str) -> str:
    """Undo mis-decoded Unicode and HTML entities; one space between words, all in lower case."""
    import ftfy  # noqa: PLC0415 - most captions need no repair

    repaired = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(repaired.split()).lower()


@cache
def _split_any() -> Callable[[str], list[str]]:
    """Return what splits a text into words, digits and signs, in any script."""
    import regex  # noqa: PLC0415 - re knows no classes of letters

    pattern = rf"{_PIECES}|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+"
    found: Callable[[str], list[str]] = regex.compile(pattern, regex.IGNORECASE).findall
    return found


def _ids(words: Iterable[str]) -> list[int]:
    letters, ids = _letters_of_bytes(), _vocabulary()[0]
    found: list[int] = []
    for word in words:
        if word in _SPECIAL:
            found.append(_SPECIAL[word])
        else:
            pieces = _merged([letters[byte] for byte in word.encode("utf-8")])
            found += [ids[piece] for piece in pieces]
    return found


def _merged(symbols: list[str]) -> list[str]:
    """Merge a word's bytes, pair after pair in the order of the vocabulary."""
    ranks = _vocabulary()[1]
    word = [*symbols[:-1], symbols[-1] + _END]
    while len(word) > 1:
        pair = min(itertools.pairwise(word), key=lambda pair: ranks.get(pair, _NUM_MERGES))
        if pair not in ranks:
            break
        merged: list[str] = []
        for symbol in word:
            if merged and (merged[-1], symbol) == pair:
                merged[-1] += symbol
            else:
                merged.append(symbol)
        word = merged
    return word


@cache
def _vocabulary() -> tuple[dict[str, int], dict[Pair, int]]:
    """Return the id of every piece, and the rank of every pair that may be merged."""
    with gzip.open(_vocabulary_file(), "rt", encoding="utf-8") as file:
        lines = list(itertools.islice(file, 1, 1 + _NUM_MERGES))
    pairs: list[Pair] = [(first, second) for first, second in map(str.split, lines)]
    single = list(_letters_of_bytes().values())
    pieces = [*single, *(letter + _END for letter in single), *map("".join, pairs)]
    return (
        {piece: number for number, piece in enumerate(pieces)},
        {pair: rank for rank, pair in enumerate(pairs)},
    )


def _vocabulary_file() -> Path:
    package = find_spec("open_clip")  # found and not imported
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).with_name(_VOCABULARY)


@cache
def _letters_of_bytes() -> dict[int, str]:
    """Return a visible letter for each byte: its own in Latin 1 where it has one."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    visible += range(ord("®"), ord("ÿ") + 1)
    hidden = [byte for byte in range(256) if byte not in visible]
    letters = {byte: chr(byte) for byte in visible}
    return letters | {byte: chr(256 + place) for place, byte in enumerate(hidden)}


@cache
def _remembered_words() -> dict[str, list[int]]:
    """Words met so far, as they stand between spaces, and their ids."""
    return {}
