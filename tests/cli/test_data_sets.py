"""`pgseg data verify` and `pgseg data convert` on evaluation sets, as typed."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from tests.data.test_convert import imagenet_s, lvis  # noqa: F401  (fixtures)


@pytest.fixture
def camvid(tmp_path):
    for part in ("test", "testannot"):
        (tmp_path / "CamVid" / part).mkdir(parents=True)
    mask = Image.fromarray(np.array([[0, 4, 11]], dtype=np.uint8))
    mask.convert("RGB").save(tmp_path / "CamVid/test/a.png")
    mask.save(tmp_path / "CamVid/testannot/a.png")
    return tmp_path / "CamVid"


def test_a_tree_is_recognised_checked_and_converted(camvid, tmp_path, pgseg):
    checked = pgseg(f"data verify {camvid} --json")
    assert checked.code == 0
    assert "camvid with 1 images, 2 of 11 classes seen" in checked.words
    found = json.loads(checked.out)
    assert (found["name"], found["images"], found["problems"]) == ("camvid", 1, [])

    out = tmp_path / "plain"
    converted = pgseg(f"data convert {camvid} --out {out}")
    assert converted.code == 0
    assert f"pgseg eval --dataset folder --data-root {out}" in converted.words
    assert np.asarray(Image.open(out / "masks/a.png")).tolist() == [[0, 4, 255]]
    assert pgseg(f"data verify {out}").code == 0

    again = pgseg(f"data convert {camvid} --out {out}")
    assert (again.code, "is there already" in again.words) == (2, True)
    assert pgseg(f"data convert {camvid} --out {out} --overwrite").code == 0


def test_a_bad_mask_is_named_with_its_image(camvid, pgseg):
    Image.fromarray(np.full((1, 3), 77, dtype=np.uint8)).save(camvid / "testannot/a.png")
    checked = pgseg(f"data verify {camvid} --set camvid")
    assert checked.code == 2
    assert "labels outside the 11 classes: 77" in checked.words


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("data verify {} --set ade20k", "sceneparsing.csail.mit.edu"),
        ("data convert {} --out x", "is the tree of no set that pgseg knows"),
        ("data convert {} --out x --set cityscapes", "cityscapes-dataset.com"),
        ("data convert {} --out x --set cities", "no segmentation set called 'cities'"),
        ("data convert {} --out x --set lvis --unlabelled white", "There are: background, ignore"),
        ("data convert {} --out x --set voc12 --unlabelled ignore", "not of voc12"),
        ("eval --dataset lvis --data-root {}", "lvisdataset.org"),
    ],
)
def test_what_is_missing_or_unknown_is_said(line, sentence, tmp_path, monkeypatch, pgseg):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    result = pgseg(line.format(shlex.quote(str(tmp_path / "empty"))))
    assert result.code == 2
    assert sentence in result.words
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["lvis", "imagenet-s"])
def test_many_classes_are_measured(name, request, tmp_path, pgseg):
    root = request.getfixturevalue(name.replace("-", "_"))
    baseline = "frequent" if name == "lvis" else "background"
    result = pgseg(f"eval --dataset {name} --data-root {root} --baseline {baseline} --json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["images_seen"] == 2
