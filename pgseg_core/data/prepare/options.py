"""How sources become shards: every choice of `pgseg data prepare`, and what each decides."""

import os
import re
from dataclasses import dataclass, field
from typing import Any

from pgseg_core.data.prepare.encode import JPEG_QUALITY
from pgseg_core.data.prepare.sources import Reading
from pgseg_core.errors import ConfigError
from pgseg_core.version import VERSION

DUPLICATES = ("keep", "exact", "near")
"""What may become of images that came before."""
OWN_NAME = f"pgseg/{VERSION} (image-text data preparation)"
"""What servers are told who asks, unless the user says otherwise."""

_PART = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which images are left out, whatever they show; each is counted under its reason."""

    min_side: int = 0
    """Shortest short side of the image as it comes, in pixels."""
    max_aspect: float | None = None
    """Largest ratio of the long to the short side; None allows any."""
    min_words: int = 1
    """Captions of fewer words are dropped; an image goes with its last caption."""
    max_words: int | None = None
    """Captions of more words are dropped; None allows any."""
    duplicates: str = "keep"
    """Images that came before: `exact` leaves out equal files, `near` also those that look the
    same (a perceptual hash that differs in at most 3 of 64 bits)."""

    def __post_init__(self) -> None:
        if self.duplicates not in DUPLICATES:
            raise ConfigError(
                f"duplicates is '{self.duplicates}'", hint=f"It can be: {', '.join(DUPLICATES)}."
            )
        if self.max_aspect is not None and self.max_aspect < 1:
            raise ConfigError(
                f"max_aspect is {self.max_aspect}",
                hint="It is the long side divided by the short one: 1 or more, such as 3.",
            )
        if self.max_words is not None and self.max_words < self.min_words:
            raise ConfigError(
                f"max_words is {self.max_words}, and min_words {self.min_words}",
                hint="No caption has so many and so few words; raise --max-words.",
            )

    def allows_caption(self, caption: str) -> bool:
        """Whether a caption has a wanted number of words."""
        words = len(caption.split())
        return words >= self.min_words and (self.max_words is None or words <= self.max_words)

    def refusal(self, width: int, height: int) -> str | None:
        """Return why an image of this size is left out; None for one that is wanted."""
        short, long = sorted((width, height))
        if short < self.min_side:
            return f"short side below {self.min_side}"
        if self.max_aspect is not None and long > self.max_aspect * short:
            return f"sides in a ratio above {self.max_aspect:g}"
        return None


@dataclass(frozen=True, kw_only=True)
class Downloads:
    """How images on the web are fetched."""

    connections: int = 64
    """Images that are fetched at the same time."""
    per_host: int = 8
    """Images that are fetched from one host at the same time."""
    timeout: float = 20.0
    """Seconds that one attempt may take, from the first byte sent to the last received."""
    retries: int = 2
    """Further attempts after one that may have failed by chance."""
    backoff: float = 1.0
    """Seconds before the first further attempt; doubled before each one after."""
    max_bytes: int = 32_000_000
    """Largest file that is fetched; the rest of a larger one is not."""
    user_agent: str = OWN_NAME
    """What the servers are told who asks."""

    def __post_init__(self) -> None:
        for name in ("connections", "per_host", "timeout", "max_bytes"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}", hint="Give one above 0.")
        for name in ("retries", "backoff"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}", hint="Give 0 or more.")


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How sources become shards."""

    format: str | None = None
    """What every source is; None finds out for each."""
    reading: Reading = field(default_factory=Reading)
    """What the sources do not say themselves."""
    filters: Filters = field(default_factory=Filters)
    """Which images are left out."""
    downloads: Downloads = field(default_factory=Downloads)
    """How images on the web are fetched."""
    short_side: int | None = 256
    """Larger images are brought down to this short side, in pixels; None keeps every size."""
    samples_per_shard: int = 1000
    """Largest number of samples in one shard."""
    bytes_per_shard: int = 1_000_000_000
    """Largest size of one shard, save one that a single image fills."""
    part: tuple[int, int] | None = None
    """(I, N) prepares the I-th (from 1) of N parts of all images."""
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Images that are decoded at the same time; does not change the result."""
    overwrite: bool = False
    """Whether another preparation in the folder may be replaced."""
    retry_failed: bool = False
    """Whether links of a finished preparation that failed by chance are asked for again."""

    def __post_init__(self) -> None:
        for name in ("short_side", "samples_per_shard", "bytes_per_shard", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}", hint="Give a number above 0.")
        if self.overwrite and self.retry_failed:
            raise ConfigError(
                "--retry-failed goes on with what is there, and --overwrite replaces it",
                hint="Give one of them.",
            )
        if self.part is not None and not 1 <= self.part[0] <= self.part[1]:
            number, of = self.part
            raise ConfigError(
                f"there is no part {number} of {of}",
                hint="Give --part 1/4, 2/4, 3/4 and 4/4, one on each of four machines.",
            )

    def settings(self) -> dict[str, Any]:
        """Return the choices that decide the content, for the manifest."""
        return {
            "short_side": self.short_side,
            "quality": JPEG_QUALITY,
            "samples_per_shard": self.samples_per_shard,
            "bytes_per_shard": self.bytes_per_shard,
            "max_download": self.downloads.max_bytes,
            **vars(self.filters),
        }


def parse_part(text: str) -> tuple[int, int]:
    """Read which part of a preparation is meant, such as `2/4`.

    Raises:
        ConfigError: It has another form.
    """
    match = _PART.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"--part {text} is not of the form I/N",
            hint="Give --part 1/4, 2/4, 3/4 and 4/4, one on each of four machines.",
        )
    return int(match[1]), int(match[2])
