"""The typeface that names are drawn in: one everywhere, another only for scripts it lacks."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

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
    with others, a font of this machine that knows all of it is taken, where there is one;
    otherwise a box is drawn for what is unknown.
    """
    wanted = frozenset(map(ord, text)) - _IGNORED
    own = _own_file()
    if text.isascii():
        return ImageFont.truetype(str(own), size)
    known = (file for file in (own, *_other_files()) if wanted <= _characters(file))
    return ImageFont.truetype(str(own if not wanted else next(known, own)), size)


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
