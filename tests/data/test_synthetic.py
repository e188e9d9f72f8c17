from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from pgseg_core.data.manifest import load_manifest
from pgseg_core.data.pairs import read_pairs
from pgseg_core.data.prepare.synthetic import SceneOptions, prepare_scenes
from pgseg_core.data.segmentation import open_segmentation_set
from pgseg_core.errors import ConfigError, DataError
from pgseg_core.text.vocabulary import load_vocabulary
from tests.data.conftest import random_image


@dataclass(frozen=True)
class Scene:
    image: Image.Image
    captions: tuple[str, ...]


def render(seed, index, size):
    return Scene(random_image(seed * 7 + index, size, size), (f"scene {index} of {seed}",))


def write_evaluation_set(folder, seed, indices, size):
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    (folder / "classes.txt").write_text("sky\ngrass\n")
    for index in indices:
        render(seed, index, size).image.save(folder / "images" / f"{index}.png")
        Image.fromarray(np.zeros((size, size), np.uint8)).save(folder / "masks" / f"{index}.png")
    return len(list((folder / "images").iterdir()))


OPTIONS = SceneOptions(seed=1, size=16, train=5, val=2, test=3, samples_per_shard=2)


def prepare(out, options=OPTIONS, **more):
    return prepare_scenes(
        out, options, render=render, write_evaluation_set=write_evaluation_set, **more
    )


def test_scenes_become_shards_and_an_evaluation_set(tmp_path):
    done = []
    result = prepare(tmp_path / "out", on_progress=lambda *now: done.append(now))
    assert not result.was_there
    assert done[-1] == (10, 10)
    manifest = load_manifest(tmp_path / "out")
    counts = {split: manifest.num_samples(split) for split in manifest.splits}
    assert counts == {"train": 5, "val": 2, "test": 3}
    pairs = [pair for split in counts for pair in read_pairs(tmp_path / "out", split)]
    assert len({pair.captions for pair in pairs}) == 10
    assert pairs[0].captions == ("scene 0 of 1",)
    assert pairs[0].image.size == (16, 16)
    dataset = open_segmentation_set("scenes", tmp_path / "out" / "eval")
    assert len(dataset) == 3
    tests = [pair.captions[0].split()[1] for pair in read_pairs(tmp_path / "out", "test")]
    assert tests == [dataset[index].name for index in range(3)]


def test_more_training_scenes_leave_the_others_as_they_were(tmp_path):
    prepare(tmp_path / "a")
    prepare(tmp_path / "b", SceneOptions(seed=1, size=16, train=9, val=2, test=3))
    for split in ("val", "test"):
        kept = [
            [pair.captions for pair in read_pairs(tmp_path / name, split)] for name in ("a", "b")
        ]
        assert kept[0] == kept[1]


def test_the_number_of_processes_changes_nothing(tmp_path):
    prepare(tmp_path / "a")
    prepare(tmp_path / "b", replace(OPTIONS, processes=2))
    for path in (tmp_path / "a").glob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_embedded_scenes(tmp_path):
    prepare_scenes(tmp_path / "out", SceneOptions(size=32, train=3, val=1, test=2))
    first = next(iter(read_pairs(tmp_path / "out", "train")))
    assert first.image.size == (32, 32)
    assert len(first.captions) > 1
    dataset = open_segmentation_set("scenes", tmp_path / "out" / "eval")
    assert dataset[0].mask.shape == (32, 32)
    assert not dataset.has_background
    assert load_vocabulary(dataset.vocabulary).names == dataset.class_names


def test_again_does_nothing_and_another_seed_asks(tmp_path):
    prepare(tmp_path / "out")
    assert prepare(tmp_path / "out").was_there
    other = SceneOptions(seed=2, size=16, train=1, val=0, test=1)
    with pytest.raises(DataError, match="another preparation"):
        prepare(tmp_path / "out", other)
    prepare(tmp_path / "out", other, overwrite=True)
    assert len(open_segmentation_set("scenes", tmp_path / "out" / "eval")) == 1
    assert list(load_manifest(tmp_path / "out").splits) == ["train", "test"]


def test_a_lost_evaluation_set_is_written_again(tmp_path):
    import shutil

    prepare(tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "eval")
    assert not prepare(tmp_path / "out").was_there
    assert (tmp_path / "out" / "eval" / "classes.txt").exists()


def test_no_scenes_at_all_is_an_error(tmp_path):
    with pytest.raises(DataError, match="none of the 0"):
        prepare(tmp_path / "out", SceneOptions(train=0, val=0, test=0))


@pytest.mark.parametrize("values", [{"train": -1}, {"test": 10_000_001}, {"size": 0}])
def test_numbers_out_of_range_are_refused(values):
    with pytest.raises(ConfigError, match=f"{next(iter(values))} is"):
        SceneOptions(**values)
