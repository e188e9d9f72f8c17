"""Images and shards made on the spot: no test reads a picture that somebody took."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgseg_core.data.prepare.build import prepare
from pgseg_core.data.prepare.options import PrepareOptions


def random_image(seed: int, width: int = 48, height: int = 40) -> Image.Image:
    """Return smooth colours, different for every seed."""
    colours = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, **options: object) -> bytes:
    """Return an image as the bytes of a JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def png(image: Image.Image) -> bytes:
    """Return an image as the bytes of a PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_table(folder: Path, count: int, *, split: str = "train", captions: int = 2) -> Path:
    """Write `count` images with captions, and return their table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    lines = ["image\tsplit\tcaption"]
    for number in range(count):
        (folder / "images" / f"{number:04d}.jpg").write_bytes(jpeg(random_image(number)))
        lines += [
            f"{number:04d}.jpg\t{split}\tcaption {which} of dog {number}"
            for which in range(captions)
        ]
    table = folder / "captions.tsv"
    table.write_text("\n".join(lines) + "\n", "utf-8")
    return table


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A prepared folder: 50 pairs in shards of 7, split train."""
    root = tmp_path_factory.mktemp("pairs")
    table = write_table(root / "source", 50)
    prepare([table], root / "shards", PrepareOptions(samples_per_shard=7, threads=2))
    return root / "shards"
