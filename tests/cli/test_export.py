"""`pgseg export onnx`, and segmenting with what it wrote: the same masks, and no torch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgseg_cli.commands.weights.export import onnx as export_onnx
from pgseg_core.data.scenes.scene import render_scene

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def exported(workshop) -> Path:
    """The workshop's model, as the command writes it; torch cannot trace what the tests check."""
    out = workshop / "model.onnx"
    arguments = ["export", "onnx", "-w", str(workshop / "runs/pgseg-tiny"), "-o", str(out)]
    subprocess.run([sys.executable, "-m", "pgseg_cli.main", *arguments], check=True, cwd=ROOT)
    return out


@pytest.fixture
def scenes(here) -> Path:
    (here / "scenes").mkdir()
    for index in range(4):
        scene = render_scene(seed=5, index=index, size=(96, 150))
        scene.image.save(here / f"scenes/{index}.png")
    return here / "scenes"


def masks(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(file)) for file in sorted(folder.glob("*_mask.png"))])


def test_masks_are_the_torch_engines(pgseg, here, scenes, exported):
    line = "segment scenes -c sky,grass,ball,house --background --threshold 0.3 --format"
    assert pgseg(f"{line} npz -o torch").code == 0
    done = pgseg(f"{line} npz,coco,labelme,geojson,png -o onnx -w {exported}")
    assert done.code == 0, done.err
    assert f"weights: {exported}" in done.words
    assert (masks(here / "torch") != masks(here / "onnx")).mean() <= 1e-3
    for number in range(4):
        ours, theirs = (
            np.load(here / f"{engine}/{number}_scores.npz")["scores"]
            for engine in ("onnx", "torch")
        )
        # where two groups own a pixel alike, rounding gives it to one or the other
        assert (np.abs(ours - theirs) > 5e-3).mean() <= 1e-3
    assert (here / "onnx/index.html").is_file()
    again = pgseg(f"{line} npz -o onnx -w {exported} --resume")
    assert "4 photos were finished before" in again.words


def test_nothing_of_torch_is_imported(here, scenes, exported):
    program = """
import sys
from pgseg_cli.main import run
try:
    run()
except SystemExit as end:
    assert not end.code, end.code
loaded = {"torch", "open_clip", "torchvision", "timm", "matplotlib"} & set(sys.modules)
assert not loaded, loaded
"""
    line = ["segment", "scenes/0.png", "-c", "sky,café", "-w", str(exported), "--refine", "crf"]
    subprocess.run([sys.executable, "-c", program, *line], check=True, capture_output=True)
    assert json.loads((here / "segmented/0.json").read_text("utf-8"))["classes"]


def test_each_mistake_has_its_sentence(pgseg, here, scenes, exported):
    ask = "segment scenes/0.png -c sky,grass"
    for line, words in {
        f"{ask} --engine onxx": "no engine called 'onxx' Did you mean onnx?",
        f"{ask} --engine onnx": "pgseg export onnx --weights runs/pgseg-tiny",
        f"{ask} --engine torch -w {exported}": "which the engine torch does not read",
        f"{ask} --engine onnx -w nothing": "nothing: no such weights",
        f"{ask} -w {exported} --device mps": "this ONNX Runtime has no device mps",
        f"export onnx -o {exported}": "exists already",
        "export onnx -w nothing": "nothing: no such weights",
    }.items():
        refused = pgseg(line)
        assert refused.code == 2, line
        assert words in refused.words


def test_damaged_folders_are_refused(pgseg, here, scenes, exported):
    ask = "segment scenes/0.png -c sky,grass -w broken"
    shutil.copytree(exported, here / "broken")
    about = here / "broken/pgseg.json"
    values = json.loads(about.read_text("utf-8"))
    (here / "broken/text.onnx").write_bytes(b"half")
    assert "text.onnx: cannot be loaded" in pgseg(ask).words
    (here / "broken/text.onnx").unlink()
    assert "broken: lacks text.onnx" in pgseg(ask).words
    about.write_text(json.dumps({**values, "format": 2}), "utf-8")
    assert "exported in format 2" in pgseg(ask).words
    about.write_text("{", "utf-8")
    assert "pgseg.json: cannot be read" in pgseg(ask).words


def test_a_failed_export_leaves_nothing(here, monkeypatch):
    from pgseg_core.onnx import export

    from pgseg_core.errors import BackendError

    monkeypatch.setattr(export, "_write_image", lambda *_: None)
    monkeypatch.setattr(export, "_write_text", lambda *_: None)

    def differs(*_: object) -> None:
        raise BackendError("another number")

    monkeypatch.setattr(export, "OnnxEncoders", differs)
    with pytest.raises(BackendError, match="another number"):
        export_onnx(here / "runs/pgseg-tiny", here / "out.onnx")
    assert not list(here.glob("*out*")) + list(here.glob(".*out*"))
