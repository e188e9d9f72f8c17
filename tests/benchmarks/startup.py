"""Cold starts, each a process from nothing to its end."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pgseg_core.methods.export import export_model
from pgseg_core.weights import find_weights

PGSEG = "from pgseg_cli.main import run; run()"


def python(*, code: str, arguments: tuple[str, ...] = ()) -> Callable[[], object]:
    """Run Python code in a process of its own."""
    return lambda: subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True
    )


def segment(*, exported: bool = False) -> Callable[[], object]:
    """`pgseg segment` of one photo with the bundled weights: overlay, mask and numbers written.

    Args:
        exported: Whether the model is exported to ONNX before, and run without torch.
    """
    place = Path(tempfile.mkdtemp(prefix="pgseg-bench-"))
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).save(place / "photo.jpg")
    weights = find_weights(None)
    if exported:
        export_model(weights, place / "model.onnx")
        weights = place / "model.onnx"
    arguments = (
        "segment", str(place / "photo.jpg"), "-c", "sky,grass,dog", "-w", str(weights),
        "--out", str(place / "out"),
    )  # fmt: skip
    return python(code=PGSEG, arguments=arguments)
