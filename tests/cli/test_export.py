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
        f"{ask} --runtime onxx": "no runtime called 'onxx' Did you mean onnx?",
        f"{ask} --engine onnx": "pgseg export onnx --weights runs/pgseg-tiny",
        f"{ask} --engine torch -w {exported}": "which the runtime torch does not read",
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
    about.write_text(json.dumps({**values, "format": 3}), "utf-8")
    assert "exported in format 3" in pgseg(ask).words
    about.write_text(json.dumps({**values, "patch_size": "large"}), "utf-8")
    shutil.copy(exported / "text.onnx", here / "broken")
    assert "pgseg.json: damaged" in pgseg(ask).words
    about.write_text("{", "utf-8")
    assert "pgseg.json is not valid JSON" in pgseg(ask).words


def test_what_was_exported_in_format_1_gives_the_same_masks(pgseg, here, scenes, exported):
    ask = "segment scenes/0.png -c sky,grass"
    shutil.copytree(exported, here / "old")
    about = here / "old/pgseg.json"
    values = json.loads(about.read_text("utf-8"))
    reading, rule = values["reading"], values["reading"].pop("rule")
    names = ("short_side", "long_side", "antialias", "window", "stride")
    values["reading"] = {name: reading[name] for name in names} | {
        "patch_share": 0.6 if values.pop("patches_answer") else 0.0,
        "patch_affinity": 0.0,
        "candidates": rule["top_k_by"],
        "fade_windows": reading["taper_windows"],
    }
    about.write_text(json.dumps({**values, "format": 1}), "utf-8")
    assert pgseg(f"{ask} -w old -o from_old").code == 0
    assert pgseg(f"{ask} -w {exported} -o from_new").code == 0
    assert (masks(here / "from_old") == masks(here / "from_new")).all()


def test_a_failed_export_leaves_nothing(here, monkeypatch):
    from pgseg_core.errors import BackendError
    from pgseg_core.methods import export

    monkeypatch.setattr(export, "_write_image", lambda *_: None)
    monkeypatch.setattr(export, "_write_text", lambda *_: None)

    def differs(*_: object) -> None:
        raise BackendError("another number")

    monkeypatch.setattr(export, "ExportedMethod", differs)
    with pytest.raises(BackendError, match="another number"):
        export_onnx(here / "runs/pgseg-tiny", here / "out.onnx")
    assert not list(here.glob("*out*")) + list(here.glob(".*out*"))
