"""Photos of typical web sizes for the measurements, as shards in a temporary folder."""

import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from webdataset import TarWriter

_SHARED = Path(os.environ.get("PGSEG_SHARED", Path(__file__).resolve().parents[3] / "shared"))
FLICKR8K = _SHARED / "data" / "flickr8k"

Photo = tuple[Image.Image, list[str]]


def find_photos(folder: Path | None, count: int) -> tuple[str, list[Photo]]:
    """Return what the photos are, and `count` of them with captions.

    Flickr8k's where it is at hand (or another folder with captions.tsv and images/), otherwise
    the embedded synthetic scenes.
    """
    folder = folder or (FLICKR8K if FLICKR8K.is_dir() else None)
    if folder is None:
        return "synthetic scenes", list(_scenes(count))
    captions: dict[str, list[str]] = {}
    for line in (folder / "captions.tsv").read_text("utf-8").splitlines()[1:]:
        name, _, caption = line.split("\t")
        captions.setdefault(name, []).append(caption)
    chosen = list(captions.items())[:count]
    return folder.name, [(Image.open(folder / "images" / n).convert("RGB"), c) for n, c in chosen]


def _scenes(count: int) -> Iterator[Photo]:
    from pgseg_core.data.scenes.scene import render_scene

    for index in range(count):
        scene = render_scene(seed=0, index=index, size=(224, 224))
        yield scene.image, list(scene.captions)


def write_shard(path: Path, photos: Sequence[Photo], short_side: int) -> Path:
    """Write photos, enlarged to a short side, as JPEGs of quality 90."""
    with path.open("wb") as file:
        writer = TarWriter(file, encoder=False)
        for number, (image, captions) in enumerate(photos):
            scale = short_side / min(image.size)
            size = (round(image.width * scale), round(image.height * scale))
            buffer = io.BytesIO()
            image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=90)
            record = json.dumps({"captions": captions}).encode()
            writer.write({"__key__": f"{number:06d}", "jpg": buffer.getvalue(), "json": record})
        writer.close()
    return path
