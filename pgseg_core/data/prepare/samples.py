"""What becomes of a row: a sample for a shard, or a reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One image-text pair on its way into a shard.

    Attributes:
        position: Its row's position among all rows; its key in the shard is made of it.
        source: Which source it comes from, counted from 0.
        split: Such as train, val or test.
        name: What its source calls the image.
        captions: One or more.
        image: The bytes of a JPEG.
        details: What else its record says, such as the image's size.
        digest: SHA-256 of the file that the image came as; empty where there was none.
        fingerprint: Perceptual hash of 64 bits; None where it is not asked for.
    """

    position: int
    source: int
    split: str
    name: str
    captions: tuple[str, ...]
    image: bytes
    details: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    fingerprint: int | None = None

    @property
    def key(self) -> str:
        """Unique within a preparation and all its parts; no dot and no slash."""
        return f"{self.position:09d}"


@dataclass(frozen=True)
class Rejected:
    """An image that is left out.

    Attributes:
        position: Its row's position among all rows.
        source: Which source it comes from, counted from 0.
        reason: A few words, the same for all of its kind.
        name: What its source calls the image.
    """

    position: int
    source: int
    reason: str
    name: str


Decision = Sample | Rejected
"""What becomes of a row."""
