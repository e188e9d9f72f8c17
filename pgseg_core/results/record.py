"""A segmentation's numbers as plain values: what the JSON, the terminal and a server say."""

from typing import Any

from pgseg_core.inference.segmentation import Segmentation


def describe(segmentation: Segmentation) -> dict[str, Any]:
    """Return a segmentation's numbers as plain values.

    `classes` lists index, name, pixels, share of the photo and mean score, by index, which is the
    value of the mask's pixels.
    """
    height, width = segmentation.labels.shape
    columns = zip(
        segmentation.names,
        segmentation.pixels,
        segmentation.shares,
        segmentation.scores,
        strict=True,
    )
    return {
        "width": width,
        "height": height,
        "background": segmentation.background,
        "classes": [
            {
                "index": index,
                "name": name,
                "pixels": pixels,
                "share": round(share, 6),
                "score": round(score, 6),
            }
            for index, (name, pixels, share, score) in enumerate(columns)
        ],
    }
