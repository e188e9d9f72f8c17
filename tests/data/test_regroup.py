"""Classes of one's own on a set's masks."""

import json

import numpy as np
import pytest
from PIL import Image

from pgseg_core.data.segmentation import open_segmentation_set, regrouped
from pgseg_core.errors import DataError
from pgseg_core.text.vocabulary import load_vocabulary

WORDS = {
    "classes": {
        "ride": {"ids": [2, 4], "synonyms": ["bicycle", "motorcycle"]},
        "water": {"ids": [148, 178]},
    }
}


@pytest.fixture
def coco(tmp_path):
    """One image whose mask has a bicycle, a dog, water twice over, and a pixel of nothing."""
    for folder in ("images", "semantic"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (5, 1)).save(tmp_path / "images/a.png")
    mask = np.array([[2, 18, 148, 178, 0]], dtype=np.uint8)
    Image.fromarray(mask).save(tmp_path / "semantic/a.png")
    return tmp_path


def regroup(coco, words, name="coco-object"):
    file = coco / "words.json"
    file.write_text(words if isinstance(words, str) else json.dumps(words))
    return regrouped(open_segmentation_set(name, coco), file)


def test_values_become_the_classes_of_the_file_and_others_are_not_counted(coco):
    words = regroup(coco, WORDS)
    assert (words.name, words.class_names) == ("coco-object-words", ("ride", "water"))
    assert not words.has_background
    assert words[0].mask.tolist() == [[0, 255, 1, 1, 255]]
    asked = load_vocabulary(words.vocabulary)
    assert asked.names == words.class_names
    assert asked.prompts == (("bicycle", "motorcycle"), ("water",))


def test_a_background_may_be_among_them(coco):
    words = regroup(coco, {"classes": {"background": {"ids": [0, 148]}, "dog": {"ids": [18]}}})
    assert words.has_background
    assert words[0].mask.tolist() == [[255, 1, 0, 255, 0]]


def test_a_set_whose_values_are_its_labels(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text("cup\ntree\nhouse\n")
    Image.new("RGB", (4, 1)).save(tmp_path / "images/a.png")
    Image.fromarray(np.array([[0, 1, 2, 255]], dtype=np.uint8)).save(tmp_path / "masks/a.png")
    words = regroup(tmp_path, {"classes": {"outdoors": {"ids": [1, 2]}}}, "folder")
    assert words[0].mask.tolist() == [[255, 0, 0, 255]]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"classes": {"a": {"ids": [1]}, "b": {"ids": [1]}}}, "value 1 belongs to 'a' and to 'b'"),
        ({"classes": {"a": {"ids": [777]}}}, "value 777, which no mask of coco-object may hold"),
        ({"classes": {"a": {"ids": []}}}, "class without mask values"),
        ({"classes": {}}, "or no class"),
        ({"classes": {"a": {"synonyms": ["b"]}}}, "does not say which mask values"),
        ({"a": [1]}, "does not say which mask values"),
        ("[", "does not say which mask values"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(coco, words, sentence):
    with pytest.raises(DataError, match=sentence):
        regroup(coco, words)
