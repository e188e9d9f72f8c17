"""What people wrote under their images, cleaned without changing what it says."""

import html
import re
from collections.abc import Iterable

import ftfy

_REPAIRS = ftfy.TextFixerConfig(uncurl_quotes=False, explain=False)
# Zero-width space and word joiner, soft hyphen, byte order mark, and marks of writing direction.
# The joiners U+200C and U+200D stay: Persian, Hindi and emoji are spelled with them.
_INVISIBLE = re.compile("[\u200b\u2060\u00ad\ufeff\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean_caption(text: str) -> str:
    """Return a caption as one line of well-formed text; empty where nothing is left.

    HTML's character references are resolved (twice, as captions of the web are often escaped
    twice), mis-decoded UTF-8 is repaired, control and invisible characters are dropped, letters are
    composed (Unicode's NFC), and every run of white space becomes one space. Quotes, case and
    language stay as they are.
    """
    if "&" in text or not (text.isascii() and text.isprintable()):
        text = html.unescape(html.unescape(text))
        text = _INVISIBLE.sub("", ftfy.fix_text(text, _REPAIRS))
    return " ".join(text.split())


def clean_captions(captions: Iterable[str]) -> tuple[str, ...]:
    """Clean captions and drop those that are empty, keeping their order."""
    return tuple(filter(None, map(clean_caption, captions)))
