"""Zero-shot classification: ranks by hand, folders and shards, and what is wrong with them."""

import io
import tarfile

import pytest
import torch
from torch.nn.functional import normalize

from pgseg_core.comm import LocalCollectives
from pgseg_core.config import InferenceConfig
from pgseg_core.data.labelled import open_labelled_images
from pgseg_core.errors import DataError
from pgseg_core.evaluation import image_tasks
from pgseg_core.evaluation.image_tasks import class_vocabulary, evaluate_classification
from pgseg_core.evaluation.metrics.classification import classes_ahead, classification_scores
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.networks.grouping.build import build_model
from tests.data.conftest import random_image
from tests.tiny import segmenter_of, tiny_model_config


def test_ranks_and_shares_by_hand():
    classes = normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), dim=1)
    image = normalize(torch.tensor([[1.0, 0.1], [0.2, 1.0], [1.0, 0.5], [0.0, 1.0]]), dim=1)
    label = torch.tensor([0, 0, 2, 1])
    ahead = classes_ahead(image, classes, label)
    assert ahead.tolist() == [0, 2, 0, 0]
    scores = classification_scores(ahead, label, 4)
    assert scores.top1 == 0.75
    assert scores.top5 == 1.0
    assert scores.class_images == (2, 1, 1, 0)
    assert scores.class_top1[:3] == (0.5, 1.0, 1.0)
    assert scores.mean_top1 == pytest.approx(2.5 / 3)
    assert scores.top1_interval.low <= 0.75 <= scores.top1_interval.high


def test_ties_and_nan_are_wrong():
    label = torch.tensor([3, 0])
    assert classes_ahead(torch.ones(2, 1), torch.ones(6, 1), label).tolist() == [5, 5]
    nothing = classes_ahead(torch.full((2, 1), torch.nan), torch.ones(6, 1), label)
    assert classification_scores(nothing, label, 6).top5 == 0.0


def test_top_five_counts_the_fifth():
    ahead = torch.tensor([0, 4, 5])
    assert classification_scores(ahead, torch.tensor([0, 1, 2]), 9).top5 == pytest.approx(2 / 3)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return segmenter_of(build_model(tiny_model_config()), InferenceConfig(window=32, stride=16))


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("big_dog", "cat", "dog")):
        for place in range(2 + number):
            path = tmp_path / "set" / "val" / name / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            random_image(10 * number + place, 40, 30).save(path)
    return tmp_path / "set"


def as_shards(folder, out):
    """The same images as webdataset shards, KEY.png and KEY.cls."""
    out.mkdir()
    names = sorted(path.name for path in (folder / "val").iterdir())
    with tarfile.open(out / "val-0000.tar", "w") as tar:
        for label, name in enumerate(names):
            for file in sorted((folder / "val" / name).iterdir()):
                for ending, content in (("png", file.read_bytes()), ("cls", b"%d\n" % label)):
                    entry = tarfile.TarInfo(f"{name}_{file.stem}.{ending}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    (out / "classnames.txt").write_text("big dog\ncat\ndog\n")
    return out


@torch.inference_mode()
def test_folders_and_shards_agree_and_are_what_one_image_at_a_time_says(
    segmenter, folder, tmp_path
):
    dataset = open_labelled_images(folder, "val")
    assert [image.label for image in dataset.images] == ["big_dog"] * 2 + ["cat"] * 3 + ["dog"] * 4
    vocabulary = class_vocabulary(dataset, None)
    assert vocabulary.prompts == (("big dog",), ("cat",), ("dog",))
    scores = evaluate_classification(segmenter, dataset, vocabulary, LocalCollectives())
    shards = open_labelled_images(as_shards(folder, tmp_path / "shards"), "val")
    again = evaluate_classification(
        segmenter, shards, class_vocabulary(shards, None), LocalCollectives()
    )
    assert again == scores
    vectors = segmenter.embed_queries(vocabulary.prompts)
    right = []
    for place, image in enumerate(dataset.images):
        seen = image_tasks._image_vectors(segmenter, [image.read()])
        right.append(int((seen @ vectors.mT).argmax()) == [0, 0, 1, 1, 1, 2, 2, 2, 2][place])
    assert scores.top1 == pytest.approx(sum(right) / 9)
    some = evaluate_classification(segmenter, dataset, vocabulary, LocalCollectives(), limit=3)
    assert some.class_images == (1, 1, 1)


def test_a_class_file_names_folders_and_may_list_more(segmenter, folder, tmp_path):
    dataset = open_labelled_images(folder, "val")
    names = tmp_path / "names.txt"
    names.write_text("zebra\ndog: dog, hound\ncat\nbig_dog: mastiff\n")
    vocabulary = class_vocabulary(dataset, names)
    scores = evaluate_classification(segmenter, dataset, vocabulary, LocalCollectives())
    assert scores.class_images == (0, 4, 3, 2)
    names.write_text("cat\ndog\n")
    with pytest.raises(DataError, match=r"(?s)big_dog.*has not.*big_dog: wording"):
        class_vocabulary(dataset, names)


def test_a_folder_without_images_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match="gone does not exist"):
        open_labelled_images(tmp_path / "gone", "val")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="bare has no folder of images"):
        open_labelled_images(tmp_path / "bare", "val")
    (folder / "val" / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        open_labelled_images(folder, "val")


def test_numbered_folders_and_shards_need_names(segmenter, folder, tmp_path):
    shards = as_shards(folder, tmp_path / "shards")
    (shards / "classnames.txt").write_text("big dog\ncat\n")
    dataset = open_labelled_images(shards, "val")
    with pytest.raises(DataError, match=r"dog_0 is of class 2, but 2 classes are listed"):
        evaluate_classification(
            segmenter, dataset, class_vocabulary(dataset, None), LocalCollectives()
        )
    (shards / "classnames.txt").unlink()
    with pytest.raises(DataError, match="does not say what its classes are called"):
        class_vocabulary(open_labelled_images(shards, "val"), None)
    for number, name in enumerate(("big_dog", "cat", "dog")):
        (folder / "val" / name).rename(folder / "val" / f"n0144076{number}")
    with pytest.raises(DataError, match=r"(?s)its folders are n01440760.*n01440760: tench"):
        class_vocabulary(open_labelled_images(folder, "val"), None)


def test_a_shard_without_classes(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in (("x.jpg", b"1"), ("x.txt", b"a dog")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    with pytest.raises(DataError, match=r"a\.tar: x has no class"):
        open_labelled_images(tmp_path, "val")
