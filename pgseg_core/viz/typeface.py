"""The typeface that names are drawn in: one everywhere, another only for scripts it lacks."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

_OWN = "DejaVu Sans"
_OTHERS = (
    *("notosanscjk", "notosans", "sourcehansans", "droidsansfallback", "wqy", "hiragino"),
    *("pingfang", "yugoth", "meiryo", "msyh", "malgun", "applesdgothic", "nirmala"),
    *("arial unicode", "arialuni", "notoemoji", "seguiemj", "seguisym", "symbola", "unifont"),
)
"""How files of fonts with many scripts or signs begin, on the usual systems."""
_IGNORED = frozenset({*range(32), 0xFE0E, 0xFE0F, 0x200D, *range(0x1F3FB, 0x1F400)})
"""Control characters and what merely shades or joins an emoji."""


@cache
def typeface(size: int, text: str = "") -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which matplotlib brings, at a height in pixels.

    It knows the Latin, Greek, Cyrillic, Hebrew, Arabic, Armenian and Georgian scripts. For a text
    with others, the font of this machine that knows most of it is taken; a box is drawn for what
    that one does not know.
    """
    best = _own_file()
    if _unknown(text):
        files = (best, *_other_files())
        best = max(files, key=lambda file: len(_signs(text) & _characters(file)))  # first of equals
    return ImageFont.truetype(str(best), size)


@cache
def families(text: str) -> tuple[str, ...]:
    """Return what matplotlib calls the fonts that know a text: it takes each sign from the first.

    DejaVu Sans, then those fonts of this machine that add to it.
    """
    names, missing = [_OWN], set(_unknown(text))
    for file in _other_files() if missing else ():
        found = missing & _characters(file)
        if found and (name := _known_to_matplotlib(file)):
            names.append(name)
            missing -= found
    return tuple(names)


def _signs(text: str) -> frozenset[int]:
    return frozenset(map(ord, text)) - _IGNORED


def _unknown(text: str) -> frozenset[int]:
    """Return what DejaVu Sans lacks."""
    return frozenset() if text.isascii() else _signs(text) - _characters(_own_file())


def _known_to_matplotlib(file: Path) -> str:
    """Return a font's family name, made known where matplotlib's list is older; empty if broken."""
    from matplotlib import font_manager  # noqa: PLC0415 - most names are ASCII

    try:
        name = str(font_manager.get_font(str(file)).family_name)
        if name not in font_manager.get_font_names():
            font_manager.fontManager.addfont(str(file))
    except (OSError, RuntimeError):
        return ""
    return name


def _own_file() -> Path:
    package = find_spec("matplotlib")  # found and not imported, which takes half a second
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).with_name("mpl-data") / "fonts" / "ttf" / "DejaVuSans.ttf"


@cache
def _other_files() -> tuple[Path, ...]:
    """Return this machine's fonts of those beginnings, in their order."""
    from matplotlib import font_manager  # noqa: PLC0415 - most names are ASCII

    files = sorted(map(Path, font_manager.findSystemFonts()))
    return tuple(file for start in _OTHERS for file in files if file.name.lower().startswith(start))


@cache
def _characters(file: Path) -> frozenset[int]:
    """Return the characters that a font can draw as outlines; none where it cannot be read."""
    from fontTools.ttLib import TTFont  # noqa: PLC0415 - most names are ASCII

    try:
        with TTFont(file, fontNumber=0, lazy=True) as font:
            outlines = "glyf" in font or "CFF " in font or "CFF2" in font
            return frozenset(font.getBestCmap() or ()) if outlines else frozenset()
    except Exception:  # A damaged font on somebody's machine is no reason to draw nothing.
        return frozenset()
