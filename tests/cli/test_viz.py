"""`pgseg viz`, as typed: every figure, in every format, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgseg_cli.commands.viz.drawing import distinct_names
from tests.cli.test_bad_input import assert_refused, photo

SET = "data/scenes/eval/images"


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Pictures of few pixels: what is tested is which figures come, and from what."""
    from pgseg_core.figures import tiles

    monkeypatch.setattr(tiles, "SIDE", 96)


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("prototypes a.png", "a_prototypes.png"),
        ("prototypes a.png --iterations --format svg", "a_iterations.svg"),
        ("prototypes data/scenes --limit 2 -o many", "many/all_pairs.png"),
        ("groups a.png --masks -o new", "new/masks_stage1/a.png"),
        ("embedding --dataset scenes --limit 2 --method pca", "scenes_embedding.png"),
        ("embedding a.png --limit 2 -o e.pdf", "e.pdf"),
        (
            "richness a.png b.png -w runs/pgseg-tiny -w runs/pgseg-tiny --names A,B",
            "a_richness.png",
        ),
        ("compare --dataset scenes --limit 2 --palette safe", "scenes_compare.png"),
        ("compare a.png b.png -c camvid --palette own --background -o c.svg", "c.svg"),
        ("compare a.png --masks SAM=masks -o m.png", "m.png"),
        ("training", "pgseg-tiny_training.png"),
        ("training runs/pgseg-tiny -o t.pdf --width 3.3", "t.pdf"),
        ("attention a.png", "a_attention.png"),
        ("attention a.png --at 0,1", "a_attention.png"),
    ],
)
def test_figures(pgseg, here, line, made):
    photo(here / "a.png")
    photo(here / "b.png", size=(30, 50))
    (here / "masks").mkdir()
    photo(here / "masks/a.png", mode="P")
    result = pgseg(f"viz {line}")
    assert result.code == 0, result.err
    assert made.rpartition("/")[2] in result.words or "masks_" in made
    content = (here / made).read_bytes()
    kind = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[made.rpartition(".")[2]]
    assert content.startswith(kind)


def test_group_masks_are_what_eval_and_compare_read(pgseg, here):
    photo(here / "a.png")
    assert pgseg("viz groups a.png --masks").code == 0
    with Image.open(here / "masks_stage1/a.png") as mask:
        assert mask.size == (40, 30)
        assert np.asarray(mask).max() < 8
    assert pgseg("viz compare a.png --masks masks_stage1").code == 0


def test_models_and_runs_of_one_name_are_told_apart():
    runs = [Path("/a/runs/x"), Path("/b/runs/x"), Path("/b/runs/y")]
    assert distinct_names(runs[1:]) == ["x", "y"]
    assert distinct_names(runs) == ["a/runs/x", "b/runs/x", "b/runs/y"]
    assert distinct_names([runs[0], runs[0]]) == ["x", "x"]
    assert distinct_names([Path("/x"), Path("/a/x")]) == ["/x", "a/x"]


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("prototypes gone.jpg", ["gone.jpg: no such image, folder or shard"]),
        ("prototypes a.png -o x.bmpp", ["cannot be written as '.bmpp'", "png"]),
        ("prototypes a.png b.png -o x.png", ["x.png names one figure", "--out x"]),
        ("groups a.png --stage 2", ["--stage 2: the model groups in 1 stage"]),
        ("embedding a.png --method umap", ["no method called 'umap'", "tsne"]),
        ("embedding --dataset voc12", ["where is voc12?", "--data-root"]),
        ("embedding --dataset scenes --images gone", ["scenes has no image 'gone'"]),
        ("richness a.png --space words", ["no space called 'words'", "assignment, tokens"]),
        ("richness a.png --names A,B", ["2 names for 1 models"]),
        ("compare a.png", ["There are no classes", "--classes"]),
        ("compare a.png --dataset scenes", ["its own photos and classes"]),
        ("compare a.png --masks SAM=gone", ["gone is no folder"]),
        ("compare b.png --masks SAM=masks", ["has no masks of b"]),
        ("compare a.png -c sky --palette neon", ["no palette called 'neon'", "safe, own"]),
        ("training gone", ["gone holds no run"]),
        ("attention a.png --at middle", ["--at middle is no place"]),
        ("attention a.png --at 2,0", ["outside the photo"]),
    ],
)
def test_refused_in_one_sentence(pgseg, here, line, parts):
    photo(here / "a.png")
    photo(here / "b.png")
    (here / "masks").mkdir()
    assert_refused(pgseg(f"viz {line}"), *parts)
    assert not list(here.glob("*_*.png"))
