"""Open any image as upright 8-bit RGB, or say in one sentence why it cannot be opened."""

import io
import os
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from pgseg_core.errors import DataError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif"}
    | {".heic", ".heif"}
)
"""File names, in lower case, that are taken for images when a folder is listed."""

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "HEIF")
"""Pillow's names of the formats that are opened. It knows others, some of which it hands to another
program: what claims to be PostScript goes to Ghostscript, as a program to be run."""

MAX_PIXELS = 300_000_000
"""Largest image that is opened, in pixels: decoded it is 0.9 GB. A file of a few kilobytes can
claim more than that to exhaust the memory. A 12000 x 9000 photo (108 million) opens."""

MAX_SIDE = 100_000
"""Longest side that is opened, in pixels. Longer ones are no photos, and every step that works row
by row or column by column would stumble over them."""

_STRIP_PIXELS = 4_000_000
"""Transparency is put on white so many pixels at a time."""
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"})
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})

# Pillow's own guard refuses twice this many pixels; ours speaks first, from the header.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Pillow warns of odd metadata, image after image; what matters is an error of ours. Set once and
# not around each call: `catch_warnings` is not safe among threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


def read_image(
    source: Path | bytes | BinaryIO | io.BytesIO, *, name: str = "", at_least: int | None = None
) -> Image.Image:
    """Decode one image to 8-bit RGB the way a viewer shows it.

    The EXIF orientation is applied; grey, palette, CMYK and bilevel images are converted;
    transparency is put on white; 16-bit and floating-point grey is scaled, not clipped; of an
    animation the first frame is taken.

    Args:
        source: A path, the bytes of a file, or a file opened for reading bytes.
        name: What to call the image in an error; a path has its own name.
        at_least: When given, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, which is much
            faster, as long as its short side keeps this many pixels.

    Raises:
        DataError: Missing, unreadable, truncated, not an image, or more than `MAX_PIXELS`.
    """
    name = name or (str(source) if isinstance(source, Path) else "image")
    with open_image(source, name=name) as opened:
        return read_frame(opened, 0, name=name, at_least=at_least)


def open_image(source: Path | bytes | BinaryIO | io.BytesIO, *, name: str) -> Image.Image:
    """Open an image without decoding its pixels.

    Args:
        source: A path, the bytes of a file, or a file opened for reading bytes.
        name: What to call the image in an error.

    Raises:
        DataError: Missing, not an image, or more than `MAX_PIXELS`.
    """
    # Pillow's parsers raise whatever they trip over in a damaged file (OSError, SyntaxError,
    # ValueError, struct.error, IndexError, ...), so every failure inside it is the file's.
    try:
        return open_header(source)
    except DataError as error:
        message = error.message.replace("the image:", f"{name}:", 1) if name else error.message
        raise DataError(message, hint=error.hint) from None
    except FileNotFoundError as error:
        raise DataError(f"{name}: there is no such file", hint="Check the path.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name) from error
    except Exception as error:
        if isinstance(error, UnidentifiedImageError) and _is_heif(source):
            return _open_heif(source, name)
        raise _unreadable(name, error) from error


def read_frame(
    opened: Image.Image, frame: int, *, name: str, at_least: int | None = None
) -> Image.Image:
    """Decode one frame of an opened image to 8-bit RGB (see `read_image`).

    Args:
        opened: From `open_image`.
        frame: Which frame or page, from 0.
        name: What to call the image in an error.
        at_least: See `read_image`.

    Raises:
        DataError: Unreadable, truncated, or more than `MAX_PIXELS`.
    """
    try:
        if frame or getattr(opened, "is_animated", False):
            opened.seek(frame)
        if opened.width * opened.height > MAX_PIXELS:
            raise _too_large(name)  # noqa: TRY301 - a page may be larger than the first
        if at_least is not None:
            _decode_smaller(opened, at_least)
        opened.load()
        return to_rgb(_upright(opened))
    except DataError:
        raise
    except Exception as error:
        raise _unreadable(name, error) from error


def open_header(source: Path | bytes | BinaryIO | io.BytesIO) -> Image.Image:
    """Open an image with Pillow without decoding its pixels; raises what Pillow raises.

    Raises:
        DataError: A pipe or a device, which may never answer; or sides that no photo has.
    """
    if isinstance(source, Path) and (source.is_fifo() or source.is_char_device()):
        raise DataError(
            f"{source}: a pipe or a device, not a file",
            hint="A photo from another program goes to standard input: ... | pgseg segment -",
        )
    opened = Image.open(
        io.BytesIO(source) if isinstance(source, bytes) else source, formats=_formats()
    )
    if max(opened.size) > MAX_SIDE:
        width, height = opened.size
        opened.close()
        raise DataError(
            f"{source if isinstance(source, Path) else 'the image'}: {width} x {height} pixels, "
            f"and the longest side that is read has {MAX_SIDE:,}",
            hint="Cut it into parts with an image editor, if it really is an image.",
        )
    return opened


def _formats() -> list[str]:
    """Return those formats that this Pillow can open."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) to 8; 1 where there is none that makes sense."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # Damaged metadata is no reason to lose the picture.
        return 1
    return value if value in _UPRIGHT else 1


def list_images(folder: Path, *, may_be_empty: bool = False) -> list[Path]:
    """Return the images in a folder and the folders below it, sorted by path.

    Files are told by their suffix (`IMAGE_SUFFIXES`); hidden files and folders are passed over.

    Args:
        folder: Where to look.
        may_be_empty: Whether no image is an answer rather than an error.

    Raises:
        DataError: The folder does not exist, is a file, or holds no image.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"the image folder {folder} {what}", hint="Check the path.")
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    images = sorted(path for path in found if path.suffix.lower() in IMAGE_SUFFIXES)
    if not images and not may_be_empty:
        raise DataError(
            f"there is no image in {folder}",
            hint=f"Looked below it for {', '.join(sorted(IMAGE_SUFFIXES))}.",
        )
    return images


def _decode_smaller(image: Image.Image, at_least: int) -> None:
    """Let the JPEG decoder drop detail that a later resize would drop anyway."""
    short = min(image.size)
    if image.format in {"JPEG", "MPO"} and short > at_least:
        width, height = image.size
        image.draft(None, (-(-width * at_least // short), -(-height * at_least // short)))


def _upright(image: Image.Image) -> Image.Image:
    method = _UPRIGHT.get(orientation(image))
    return image if method is None else image.transpose(method)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image in 8-bit RGB: deep grey is scaled, transparency is put on white."""
    if image.mode in _DEEP_MODES:
        return Image.fromarray(_scale_to_bytes(np.asarray(image))).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    width, height = image.size
    page = Image.new("RGB", image.size)
    rows = max(1, _STRIP_PIXELS // max(width, 1))
    for top in range(0, height, rows):
        layer = image.crop((0, top, width, min(top + rows, height))).convert("RGBA")
        strip = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        strip.alpha_composite(layer)
        page.paste(strip.convert("RGB"), (0, top))
    return page


def _scale_to_bytes(values: np.ndarray) -> np.ndarray:
    """Bring 16-bit, 32-bit or floating-point grey to 0-255 without clipping.

    Integers within 16 bits span 0-65535 and floats within 0-1 span 0-1, by convention; anything
    else is stretched from its smallest to its largest value.
    """
    floating = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(floating.min()), float(floating.max())
    if low >= 0 and values.dtype.kind == "f" and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and values.dtype.kind in "iu" and high <= 65535:
        low, high = 0.0, 65535.0
    scaled = (floating - low) / max(high - low, 1e-12) * 255
    return scaled.round().astype(np.uint8)


def _too_large(name: str) -> DataError:
    return DataError(
        f"{name}: claims more than {MAX_PIXELS // 1_000_000} million pixels",
        hint="Make it smaller with an image editor, if it really is an image.",
    )


def _is_heif(source: Path | bytes | BinaryIO | io.BytesIO) -> bool:
    """Say whether a file that Pillow does not know is a phone's HEIC photo, by its first bytes."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(12)
    elif isinstance(source, bytes):
        head = source[:12]
    else:
        source.seek(0)
        head = source.read(12)
        source.seek(0)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _open_heif(source: Path | bytes | BinaryIO | io.BytesIO, name: str) -> Image.Image:
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415 - an extra, for few
    except ImportError:
        raise DataError(
            f"{name}: a HEIC photo, which takes one more package to read",
            hint="pip install 'pgseg[heic]'",
        ) from None
    register_heif_opener()
    try:
        return open_header(source)
    except Exception as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> DataError:
    if isinstance(error, UnidentifiedImageError):
        reason = "empty, cut off, or in no format that Pillow knows"
    else:
        reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(
        f"{name}: not an image that can be read ({reason})",
        hint="Open it in a viewer and save it again as JPEG or PNG, or take it out.",
    )
