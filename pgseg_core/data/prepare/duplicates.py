"""Images that came before: the same file, or one that looks the same. No text is looked at."""

import numpy as np
from PIL import Image
from scipy.fft import dctn

from pgseg_core.data.prepare.samples import Sample
from pgseg_core.photos.images import read_image

MAX_DIFFERENCE = 3
"""Fingerprints that differ in at most this many of 64 bits are taken for one image. Re-encoding and
resizing change 0 to 2; two photos of different things differ in about 32."""

_SIDE = 32
_LOW = 8
_FLAT = 2.0  # of 255 grey levels
_BANDS = MAX_DIFFERENCE + 1
_BAND_BITS = 64 // _BANDS
_BAND = (1 << _BAND_BITS) - 1


def fingerprint(content: bytes) -> int | None:
    """Return a perceptual hash of 64 bits (pHash; Zauner 2010).

    The grey image at 32 x 32 is cosine-transformed; a bit says whether one of the 64 lowest
    frequencies is above their median. Encoding, size and small changes of colour leave it as it is.
    An image of one colour has none: rounding alone would decide its bits.

    Args:
        content: The bytes of an image that can be read.
    """
    image = read_image(content, at_least=2 * _SIDE).convert("L")
    small = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), dtype=np.float64)
    if small.std() < _FLAT:
        return None
    low = dctn(small, norm="ortho")[:_LOW, :_LOW].ravel()
    bits = low > np.median(low)
    return int(np.packbits(bits).view(">u8")[0])


class Seen:
    """The images kept so far; tells those that come again."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()
        # At most 3 bits of 4 bands differ, so one band at least is equal.
        self._bands: tuple[dict[int, list[int]], ...] = tuple({} for _ in range(_BANDS))

    def reason_against(self, sample: Sample) -> str | None:
        """Return why a sample is a duplicate; None for one that is new."""
        if _short(sample.digest) in self._digests:
            return "duplicate, same file"
        looks = sample.fingerprint
        if looks is not None and any(
            (looks ^ other).bit_count() <= MAX_DIFFERENCE
            for band, table in zip(_bands(looks), self._bands, strict=True)
            for other in table.get(band, ())
        ):
            return "duplicate, looks the same"
        return None

    def add(self, digest: str, looks: int | None) -> None:
        """Note an image that is kept.

        Args:
            digest: SHA-256 of its file, in hexadecimal.
            looks: Its fingerprint; None where none is taken.
        """
        self._digests.add(_short(digest))
        if looks is not None:
            for band, table in zip(_bands(looks), self._bands, strict=True):
                table.setdefault(band, []).append(looks)


def _short(digest: str) -> bytes:
    """16 of 32 bytes: still no two files share them by chance."""
    return bytes.fromhex(digest[:32])


def _bands(looks: int) -> tuple[int, ...]:
    return tuple((looks >> (_BAND_BITS * band)) & _BAND for band in range(_BANDS))
