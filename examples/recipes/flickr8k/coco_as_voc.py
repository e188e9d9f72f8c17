"""COCO images with VOC's classes, to choose a threshold on: `folder` in, `folder` out.

    pgseg data convert coco --set coco-object --out coco-folder
    python examples/recipes/flickr8k/coco_as_voc.py coco-folder coco-as-voc

Keeps the images that show one of VOC's 20 classes; everything else in them is background.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from pgseg_core.text.vocabulary import load_vocabulary

OTHERWISE = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}
"""What COCO calls VOC's classes where it calls them something else."""
IGNORED = 255


def main(source: Path, out: Path) -> None:
    """Renumber a folder's masks into another folder."""
    voc = load_vocabulary("voc12")
    coco = list(load_vocabulary(f"@{source / 'classes.txt'}").names)
    labels = np.zeros(256, dtype=np.uint8)
    labels[IGNORED] = IGNORED
    for label, name in enumerate(voc.names, start=1):
        labels[coco.index(OTHERWISE.get(name, name))] = label
    for folder in ("images", "masks"):
        (out / folder).mkdir(parents=True)
    for image in sorted((source / "images").iterdir()):
        mask = labels[np.asarray(Image.open(source / "masks" / f"{image.stem}.png"))]
        if ((mask > 0) & (mask != IGNORED)).any():
            shutil.copy(image, out / "images")
            Image.fromarray(mask).save(out / "masks" / f"{image.stem}.png")
    wordings = [
        name if prompts == (name,) else f"{name}: {', '.join(prompts)}"
        for name, prompts in zip(voc.names, voc.prompts, strict=True)
    ]
    (out / "classes.txt").write_text("\n".join(["background", *wordings]) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
