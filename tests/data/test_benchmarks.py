"""Every set's own tree, made on the spot: values to labels, and refusals that name the file."""

import json

import numpy as np
import pytest
from PIL import Image

from pgseg_core.data.segmentation import IGNORE_LABEL, open_segmentation_set
from pgseg_core.data.segmentation.coco import STUFF_IDS, THING_IDS
from pgseg_core.data.segmentation.instances import object_pixels
from pgseg_core.errors import ConfigError, DataError
from pgseg_core.text.vocabulary import builtin_vocabulary
from tests.data.conftest import jpeg, random_image
from tests.shared_data import shared

CLASSES = {
    "voc12": 21, "voc20": 20, "context59": 59, "context60": 60, "coco-object": 81,
    "coco-stuff": 171, "ade20k": 150, "cityscapes": 19, "camvid": 11,
}  # fmt: skip


def put(root, image, mask, values):
    """Write an image and a mask of the given values (one row)."""
    (root / image).parent.mkdir(parents=True, exist_ok=True)
    (root / mask).parent.mkdir(parents=True, exist_ok=True)
    picture = random_image(0, len(values), 1)
    if image.endswith(".png"):
        picture.save(root / image)
    else:
        (root / image).write_bytes(jpeg(picture))
    Image.fromarray(np.array([values], dtype=np.uint8)).save(root / mask)


def listed(root, folder, names="a\n"):
    (root / "ImageSets" / folder).mkdir(parents=True)
    (root / "ImageSets" / folder / "val.txt").write_text(names)


@pytest.fixture
def trees(tmp_path):
    """A root for each set, with one image whose mask has four pixels."""
    for name in ("voc12", "voc20"):
        put(tmp_path / name, "JPEGImages/a.jpg", "SegmentationClass/a.png", [0, 1, 20, 255])
        listed(tmp_path / name, "Segmentation")
    for name in ("context59", "context60"):
        tree = tmp_path / name / "VOC2010"
        put(tree, "JPEGImages/a.jpg", "SegmentationClassContext/a.png", [0, 1, 59, 255])
        listed(tree, "SegmentationContext")
    for name in ("coco-object", "coco-stuff"):
        place = "stuffthingmaps/val2017/a.png"
        put(tmp_path / name, "images/val2017/a.jpg", place, [0, 89, 91, 255])
    ade = tmp_path / "ade20k" / "ADEChallengeData2016"
    put(ade, "images/validation/a.jpg", "annotations/validation/a.png", [0, 1, 150, 3])
    ending = ("_leftImg8bit.png", "_gtFine_labelTrainIds.png")
    city = [
        f"{part}/val/ulm/a{end}"
        for part, end in zip(("leftImg8bit", "gtFine"), ending, strict=True)
    ]
    put(tmp_path / "cityscapes", *city, [0, 5, 18, 255])
    put(tmp_path / "camvid", "test/a.png", "testannot/a.png", [0, 5, 10, 11])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("voc12", [0, 1, 20, 255]),
        ("voc20", [255, 0, 19, 255]),
        ("context60", [0, 1, 59, 255]),
        ("context59", [255, 0, 58, 255]),
        ("coco-object", [1, 80, 0, 0]),
        ("coco-stuff", [0, 79, 80, 255]),
        ("ade20k", [255, 0, 149, 2]),
        ("cityscapes", [0, 5, 18, 255]),
        ("camvid", [0, 5, 10, 255]),
    ],
)
def test_mask_values_become_labels(trees, name, labels):
    dataset = open_segmentation_set(name, trees / name)
    assert len(dataset.class_names) == CLASSES[name]
    assert dataset.has_background == (name in {"voc12", "context60", "coco-object"})
    assert dataset[0].mask.tolist() == [labels]
    assert dataset[0].image.size == (4, 1)
    words = builtin_vocabulary(dataset.vocabulary)
    assert words.names == dataset.class_names[1 if dataset.has_background else 0 :]


def test_coco_objects_unlabelled_pixels_may_be_left_out(trees):
    dataset = open_segmentation_set("coco-object", trees / "coco-object", unlabelled="ignore")
    assert dataset[0].mask.tolist() == [[1, 80, 0, 255]]
    with pytest.raises(ConfigError, match="a choice of coco-object and lvis, not of voc12"):
        open_segmentation_set("voc12", trees / "voc12", unlabelled="ignore")


def test_the_same_coco_mask_in_three_forms(tmp_path):
    """Plain ids, ids - 1 and train ids of person, toothbrush, banner, wood, and nothing."""
    forms = {
        "ids": ("images/a.jpg", "semantic/a.png", [1, 90, 92, 182, 0]),
        "maps": ("images/val2017/a.jpg", "annotations/val2017/a.png", [0, 89, 91, 181, 255]),
        "train": (
            *("images/val2017/a.jpg", "annotations/val2017/a_labelTrainIds.png"),
            [0, 79, 80, 170, 255],
        ),
    }
    for form, (image, mask, values) in forms.items():
        put(tmp_path / form, image, mask, values)
        stuff = open_segmentation_set("coco-stuff", tmp_path / form)
        assert stuff[0].mask.tolist() == [[0, 79, 80, 170, 255]], form
        things = open_segmentation_set("coco-object", tmp_path / form)
        assert things[0].mask.tolist() == [[1, 80, 0, 0, 0]], form


def test_cityscapes_full_ids(tmp_path):
    put(tmp_path, "a_leftImg8bit.png", "a_gtFine_labelIds.png", [7, 33, 0, 29])
    assert open_segmentation_set("cityscapes", tmp_path)[0].mask.tolist() == [[0, 18, 255, 255]]


@pytest.mark.parametrize(
    ("name", "value", "file"),
    [
        ("voc20", 21, "a.png"),
        ("ade20k", 151, "a.png"),
        ("camvid", 12, "a.png"),
        ("cityscapes", 19, "a_gtFine_labelTrainIds.png"),
        ("coco-stuff", 183, "a.png"),
    ],
)
def test_a_value_that_is_no_class_is_named_with_its_file(trees, name, value, file):
    mask = next(path for path in (trees / name).rglob("*.png") if path.name == file)
    if name == "camvid":
        mask = trees / "camvid/testannot/a.png"
    Image.fromarray(np.full((1, 4), value, dtype=np.uint8)).save(mask)
    with pytest.raises(DataError, match=rf"{file} has labels outside .*: {value}"):
        open_segmentation_set(name, trees / name)[0]


@pytest.mark.parametrize("name", CLASSES)
def test_a_missing_mask_is_named(trees, name):
    dataset = open_segmentation_set(name, trees / name)
    dataset.files[0].mask.unlink()
    if name in {"voc12", "voc20", "context59", "context60"}:
        with pytest.raises(DataError, match=r"1 missing in .*/a\.png"):
            open_segmentation_set(name, trees / name)
    else:
        with pytest.raises(DataError, match=f"{name}: no images with masks in"):
            open_segmentation_set(name, trees / name)


def test_one_missing_mask_of_two_is_named(trees):
    city = trees / "cityscapes/leftImg8bit/val/ulm"
    (city / "b_leftImg8bit.png").write_bytes((city / "a_leftImg8bit.png").read_bytes())
    with pytest.raises(DataError, match=r"gtFine/val/ulm/b_gtFine_labelTrainIds\.png"):
        open_segmentation_set("cityscapes", trees / "cityscapes")


@pytest.mark.parametrize("name", CLASSES)
def test_an_empty_folder_says_what_is_expected(tmp_path, name):
    with pytest.raises(DataError, match=name) as caught:
        open_segmentation_set(name, tmp_path)
    assert "Expected" in caught.value.hint


def instances(root, annotations, **changes):
    (root / "images").mkdir(exist_ok=True)
    (root / "images/1.jpg").write_bytes(jpeg(random_image(0, 4, 3)))
    values = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": annotations, **changes}
    (root / "instances_train2017.json").write_text(json.dumps(values))


def test_instances_are_drawn_and_the_smaller_is_seen(tmp_path):
    whole = {"size": [3, 4], "counts": [0, 12]}
    corner = {"size": [3, 4], "counts": [0, 2, 10]}
    entries = [
        {
            "id": 7,
            "image_id": 1,
            "category_id": 90,
            "area": 2,
            "iscrowd": 0,
            "segmentation": corner,
        },
        {"id": 8, "image_id": 1, "category_id": 1, "area": 12, "iscrowd": 1, "segmentation": whole},
    ]
    instances(tmp_path, entries)
    dataset = open_segmentation_set("coco-object", tmp_path)
    assert dataset[0].mask.tolist() == [[80, 1, 1, 1], [80, 1, 1, 1], [1, 1, 1, 1]]
    instances(tmp_path, entries[:1])
    ignoring = open_segmentation_set("coco-object", tmp_path, unlabelled="ignore")
    assert ignoring[0].mask[0].tolist() == [80, 255, 255, 255]


def test_instances_that_do_not_fit_are_named(tmp_path):
    wrong = {"size": [4, 3], "counts": [12]}
    entry = {"id": 7, "image_id": 1, "category_id": 1, "area": 2, "segmentation": wrong}
    instances(tmp_path, [entry])
    with pytest.raises(DataError, match=r"object 7 of 1\.jpg does not fit"):
        open_segmentation_set("coco-object", tmp_path)[0]
    instances(tmp_path, [{**entry, "category_id": 12}])
    with pytest.raises(DataError, match="category 12 is none"):
        open_segmentation_set("coco-object", tmp_path)
    instances(tmp_path, [], images=[{"id": 2, "file_name": "gone.jpg"}])
    with pytest.raises(DataError, match=r"images/gone\.jpg"):
        open_segmentation_set("coco-object", tmp_path)
    instances(tmp_path, [], images=[])
    with pytest.raises(DataError, match="names no image"):
        open_segmentation_set("coco-object", tmp_path)
    (tmp_path / "instances_train2017.json").write_text("{}")
    with pytest.raises(DataError, match="not an instance file"):
        open_segmentation_set("coco-object", tmp_path)


def test_outlines():
    square = object_pixels([[1, 0, 3, 0, 3, 2, 1, 2]], 3, 4)
    assert square.astype(int).tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    text = "3X15jN"  # 3, 40, 5 and 2 pixels in turn, the last written as the step from 40: -38
    crowd = object_pixels({"size": [10, 5], "counts": text}, 10, 5)
    assert crowd.T.ravel().tolist() == [False] * 3 + [True] * 40 + [False] * 5 + [True] * 2


def test_the_label_lists_are_cocos():
    assert (len(THING_IDS), THING_IDS[-1]) == (80, 90)
    assert (len(STUFF_IDS), STUFF_IDS[-1]) == (91, 182)


@pytest.mark.parametrize(
    ("name", "folder", "count"),
    [
        ("voc20", "voc12_val_dev", 335),
        ("coco-object", "coco_dev", 100),
        ("coco-object", "coco_mini_dev", 40),
        ("camvid", "camvid_dev", 40),
        ("ade20k", "ade20k_dev", 3),
        ("cityscapes", "cityscapes_dev", 1),
    ],
)
def test_the_sets_at_hand_open(name, folder, count):
    dataset = open_segmentation_set(name, shared("data", folder))
    assert len(dataset) == count
    labels = {
        int(label)
        for index in range(0, count, max(1, count // 10))
        for label in np.unique(dataset[index].mask)
    }
    assert labels <= {*range(len(dataset.class_names)), IGNORE_LABEL}
    assert len(labels) > 3
