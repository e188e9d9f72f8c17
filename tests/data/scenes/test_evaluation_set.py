from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgseg_core.data.scenes import CLASSES, render_scene, write_evaluation_set
from pgseg_core.errors import DataError


def test_writes_pictures_masks_and_classes(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "scenes"
    assert write_evaluation_set(folder, 5, range(3), (40, 56)) == 3
    assert sorted(path.name for path in folder.iterdir()) == ["classes.txt", "images", "masks"]
    names = [path.name for path in sorted((folder / "images").iterdir())]
    assert names == ["000000.png", "000001.png", "000002.png"]
    for index, name in enumerate(names):
        scene = render_scene(5, index, (40, 56))
        with (
            Image.open(folder / "images" / name) as image,
            Image.open(folder / "masks" / name) as mask,
        ):
            assert mask.mode == "P"
            assert np.array_equal(np.asarray(image), np.asarray(scene.image))
            assert np.array_equal(np.asarray(mask), scene.mask)
    lines = (folder / "classes.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split(", ") for line in lines] == [list(entry.words) for entry in CLASSES]


def test_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="negative"):
        write_evaluation_set(tmp_path / "scenes", 5, [0, -1], (32, 32))
    assert list(tmp_path.iterdir()) == []


def test_refuses_a_folder_that_exists(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exists already"):
        write_evaluation_set(tmp_path, 5, range(1))
