"""Find the visible things that a caption names, with a word list instead of a language model.

The multi-label loss needs nouns in the reading processes, millions of times, so this is a walk over
the caption's words with a look-up or two each. The list is `nouns.txt`.
"""

import re
from functools import cache, lru_cache
from importlib import resources

_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_POSSESSIVE = re.compile(r"'s?$")
_REMEMBERED_WORDS = 20_000

_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "oxen": "ox",
    "cacti": "cactus",
    "octopi": "octopus",
    "loaves": "loaf",
    "leaves": "leaf",
    "knives": "knife",
    "wolves": "wolf",
    "calves": "calf",
    "hooves": "hoof",
    "shelves": "shelf",
    "scarves": "scarf",
    "wives": "wife",
    "buffaloes": "buffalo",
}
"""Plurals that no ending gives away; also the ends of words such as policemen."""


def find_nouns(caption: str) -> tuple[str, ...]:
    """Return the nouns of a caption in the order of their first appearance, each once.

    Plurals are brought to the singular ("two dogs" gives "dog"), and of overlapping entries the
    longest counts ("ice cream cone" is one thing).

    Args:
        caption: English text in any case.
    """
    lexicon = noun_lexicon()
    longest = _longest_entry()
    words = _words(caption)
    found: dict[str, None] = {}
    position = 0
    while position < len(words):
        for length in range(min(longest, len(words) - position), 0, -1):
            noun = _entry(words[position : position + length], lexicon)
            if noun is not None:
                found[noun] = None
                position += length
                break
        else:
            position += 1
    return tuple(found)


def find_broader_nouns(caption: str) -> tuple[str, ...]:
    """Return the nouns of a caption and then what else those things are called.

    A caption says "puppy"; that a dog and an animal are seen too is in `broader.txt`.
    """
    found = find_nouns(caption)
    broader = broader_nouns()
    return tuple(
        dict.fromkeys([*found, *(more for noun in found for more in broader.get(noun, ()))])
    )


@cache
def broader_nouns() -> dict[str, tuple[str, ...]]:
    """Return the nouns that have broader ones, with those that hold wherever they do."""
    text = (resources.files("pgseg_core.text") / "broader.txt").read_text(encoding="utf-8")
    found: dict[str, tuple[str, ...]] = {}
    for line in filter(None, text.splitlines()):
        if not line.startswith("#"):
            broad, narrow = line.split(":")
            for noun in narrow.split(","):
                found[noun.strip()] = (*found.get(noun.strip(), ()), broad)
    return found


@cache
def noun_lexicon() -> frozenset[str]:
    """Return the singular nouns that `find_nouns` knows, some of several words."""
    text = (resources.files("pgseg_core.text") / "nouns.txt").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(filter(None, (noun.strip() for line in lines for noun in line.split(","))))


@cache
def _longest_entry() -> int:
    return max(len(noun.split()) for noun in noun_lexicon())


def _words(caption: str) -> list[str]:
    """Split into words, without possessive endings; of hyphenated words only known ones stay."""
    lexicon = noun_lexicon()
    words: list[str] = []
    for word in _WORD.findall(caption.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        bare = _POSSESSIVE.sub("", word)
        if "-" in bare and not any(form in lexicon for form in _singulars(bare)):
            words += bare.split("-")
        else:
            words.append(bare)
    return words


def _entry(words: list[str], lexicon: frozenset[str]) -> str | None:
    """Return the entry that these words are, in singular or plural of the last."""
    head = "".join(f"{word} " for word in words[:-1])
    return next((head + form for form in _singulars(words[-1]) if head + form in lexicon), None)


@lru_cache(_REMEMBERED_WORDS)
def _singulars(word: str) -> tuple[str, ...]:
    """Return what the singular of a word may be, the likeliest first: the word as it stands."""
    forms = [word]
    forms += [
        word.removesuffix(plural) + singular
        for plural, singular in _IRREGULAR.items()
        if word.endswith(plural)
    ]
    if word.endswith("ies"):
        forms.append(word.removesuffix("ies") + "y")
    if word.endswith("es"):
        forms += [word.removesuffix("s"), word.removesuffix("es")]
    elif word.endswith("s"):
        forms.append(word.removesuffix("s"))
    return tuple(forms)
