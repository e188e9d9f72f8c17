"""Sets that name many classes, and any set as a plain folder."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_masks

from pgseg_core.data.segmentation import (
    SEGMENTATION_SETS,
    open_segmentation_set,
    read_index_mask,
    recognise_set,
)
from pgseg_core.data.segmentation.convert import convert_set
from pgseg_core.data.segmentation.imagenet_s import imagenet_names
from pgseg_core.data.segmentation.pascal_context import _IDS as CONTEXT_IDS
from pgseg_core.data.segmentation.sources import where_to_get
from pgseg_core.data.segmentation.verify import verify_set
from pgseg_core.errors import DataError
from pgseg_core.evaluation.protocols import load_protocol
from pgseg_core.evaluation.resolve import Overrides, ask
from pgseg_core.photos.images import read_image
from pgseg_core.text.vocabulary import builtin_vocabulary, load_vocabulary
from tests.data.conftest import jpeg, random_image
from tests.shared_data import shared


def photo(path, width=4, height=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(random_image(0, width, height)))


def runs(pixels):
    """Compressed run lengths of the given (row, column) pixels of a 3 x 4 image."""
    mask = np.zeros((3, 4), dtype=np.uint8, order="F")
    for row, column in pixels:
        mask[row, column] = 1
    encoded = coco_masks.encode(mask)
    return {"size": [3, 4], "counts": encoded["counts"].decode()}


@pytest.fixture
def lvis(tmp_path):
    root = tmp_path / "lvis"
    photo(root / "val2017/000000000001.jpg")
    photo(root / "train2017/000000000002.jpg")
    address = "http://images.cocodataset.org/{}2017/{:012d}.jpg"
    values = {
        "images": [
            {"id": 1, "coco_url": address.format("val", 1)},
            {"id": 2, "coco_url": address.format("train", 2)},
            {"id": 3, "coco_url": address.format("val", 3)},  # without objects: not read
        ],
        "categories": [
            {"id": number, "name": name}
            for number, name in enumerate(["aerosol_can", "Bible", "gun/holster"], start=1)
        ],
        "annotations": [
            {"id": 5, "image_id": 1, "category_id": 3, "area": 1, "segmentation": runs([(0, 0)])},
            {
                "id": 6,
                "image_id": 1,
                "category_id": 1,
                "area": 4,
                "segmentation": runs([(0, 0), (0, 1)]),
            },
            {"id": 7, "image_id": 2, "category_id": 2, "area": 1, "segmentation": runs([(2, 3)])},
        ],
    }
    (root / "lvis_v1_val.json").write_text(json.dumps(values))
    return root


def test_lvis_takes_its_names_from_its_file(lvis):
    dataset = open_segmentation_set("lvis", lvis)
    assert dataset.class_names == ("aerosol can", "Bible", "gun/holster")
    assert load_vocabulary(dataset.vocabulary).names == dataset.class_names
    assert dataset.image_names == ("000000000001", "000000000002")
    none = dataset.ignore_label
    assert dataset[0].mask[0].tolist() == [2, 0, none, none]
    assert dataset[1].mask[2].tolist() == [none, none, none, 1]
    filled = open_segmentation_set("lvis", lvis, unlabelled="background")
    assert filled.has_background
    assert filled[0].mask[0].tolist() == [3, 1, 0, 0]


def test_lvis_names_what_is_missing_and_where_it_is_published(lvis):
    (lvis / "train2017/000000000002.jpg").unlink()
    with pytest.raises(DataError, match=r"1 missing .*train2017/000000000002\.jpg") as caught:
        open_segmentation_set("lvis", lvis)
    assert "lvisdataset.org" in caught.value.hint
    (lvis / "lvis_v1_val.json").write_text("{}")
    with pytest.raises(DataError, match="not an annotation file of LVIS"):
        open_segmentation_set("lvis", lvis)


@pytest.fixture
def imagenet_s(tmp_path):
    """The tree of 50 classes, with an image in the first and the last of them."""
    root = tmp_path / "ImageNetS50"
    folders = sorted(imagenet_names())[::20]
    for folder in folders:
        for part in ("validation", "validation-segmentation"):
            (root / part / folder).mkdir(parents=True)
    for folder, label in ((folders[0], 1), (folders[-1], 50)):
        photo(root / "validation" / folder / f"val_{label}.JPEG")
        mask = np.zeros((3, 4, 3), dtype=np.uint8)
        mask[0, 0] = (label, 0, 0)
        mask[1, 0] = (1000 % 256, 1000 // 256, 0)
        place = root / "validation-segmentation" / folder / f"val_{label}.png"
        Image.fromarray(mask).save(place)
    return tmp_path


def test_imagenet_s_labels_are_in_two_channels(imagenet_s):
    dataset = open_segmentation_set("imagenet-s", imagenet_s)
    assert len(dataset.class_names) == 51
    assert dataset.class_names[:2] == ("background", "tench")
    names = builtin_vocabulary("imagenet").names
    assert set(dataset.class_names[1:]) <= set(names)
    mask = dataset[1].mask
    assert mask[:, 0].tolist() == [50, dataset.ignore_label, 0]


def test_imagenets_names_stand_beside_their_ids():
    names = imagenet_names()
    assert len(names) == len(set(names.values())) == 1000
    assert (names["n01443537"], names["n02012849"]) == ("goldfish", "crane bird")
    assert (names["n03126707"], names["n15075141"]) == ("construction crane", "toilet paper")


def test_imagenet_s_refuses_other_folders(imagenet_s):
    (imagenet_s / "ImageNetS50/validation/n99999999").mkdir()
    with pytest.raises(DataError, match="has 51 class folders") as caught:
        open_segmentation_set("imagenet-s", imagenet_s)
    assert "LUSSeg" in caught.value.hint


@pytest.fixture
def context(tmp_path):
    root = tmp_path / "VOC2010"
    photo(root / "JPEGImages/2008_000002.jpg")
    values = {
        "images": [
            {"image_id": 9, "file_name": "2008_000002.jpg", "phase": "val"},
            {"image_id": 8, "file_name": "2008_000001.jpg", "phase": "train"},
        ],
        "annos_segmentation": [
            {"id": 1, "image_id": 9, "category_id": 2, "segmentation": runs([(0, 0)])},
            {"id": 2, "image_id": 9, "category_id": 458, "segmentation": runs([(0, 1)])},
            {"id": 3, "image_id": 8, "category_id": 2, "segmentation": runs([(0, 1)])},
        ],
    }
    (root / "trainval_merged.json").write_text(json.dumps(values))
    return root


def test_context_is_read_from_its_one_file(context):
    assert len(CONTEXT_IDS) == len(set(CONTEXT_IDS)) == 59
    assert sorted(CONTEXT_IDS) == list(CONTEXT_IDS)
    with_background = open_segmentation_set("context60", context)
    assert with_background[0].mask[0].tolist() == [1, 59, 0, 0]
    assert with_background.class_names[59] == "wood"
    assert open_segmentation_set("context59", context)[0].mask[0].tolist() == [0, 58, 255, 255]


@pytest.mark.parametrize("name", ["lvis", "imagenet-s", "context60"])
def test_a_converted_set_is_the_same_set(name, tmp_path, lvis, imagenet_s, context):
    root = {"lvis": lvis, "imagenet-s": imagenet_s, "context60": context}[name]
    dataset = open_segmentation_set(name, root)
    convert_set(dataset, tmp_path / "out")
    folder = open_segmentation_set("folder", tmp_path / "out")
    assert folder.class_names == dataset.class_names
    assert folder.has_background == dataset.has_background
    assert folder.image_names == dataset.image_names
    for index in range(len(dataset)):
        ours, theirs = folder[index].mask, dataset[index].mask
        assert np.array_equal(ours == folder.ignore_label, theirs == dataset.ignore_label)
        counted = theirs != dataset.ignore_label
        assert np.array_equal(ours[counted], theirs[counted])
    with pytest.raises(DataError, match="is there already"):
        convert_set(dataset, tmp_path / "out")


def test_more_classes_than_a_byte_holds(tmp_path):
    (tmp_path / "masks").mkdir()
    photo(tmp_path / "images/a.jpg")
    (tmp_path / "classes.txt").write_text("\n".join(f"class {n}" for n in range(300)))
    values = np.full((3, 4), 255, dtype=np.uint16)
    values[0] = (0, 299, 65535, 256)
    Image.fromarray(values).save(tmp_path / "masks/a.png")
    dataset = open_segmentation_set("folder", tmp_path)
    convert_set(dataset, tmp_path / "out")
    assert np.array_equal(read_index_mask(tmp_path / "out/masks/a.png"), values)
    assert verify_set(open_segmentation_set("folder", tmp_path / "out")).ignored_share == 1 / 12


def test_images_of_one_name_in_two_folders_are_told_apart(tmp_path):
    for city in ("bern", "ulm"):
        for part, ending in (("leftImg8bit", "_leftImg8bit"), ("gtFine", "_gtFine_labelTrainIds")):
            path = tmp_path / part / "val" / city / f"a{ending}.png"
            path.parent.mkdir(parents=True)
            mask = Image.fromarray(np.zeros((3, 4), dtype=np.uint8))
            (mask if part == "gtFine" else random_image(0, 4, 3)).save(path)
    convert_set(open_segmentation_set("cityscapes", tmp_path), tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out/masks").iterdir())
    assert written == ["bern_a_leftImg8bit.png", "ulm_a_leftImg8bit.png"]


@pytest.mark.parametrize("protocol", ["groupvit", "tcl", "sclip"])
def test_every_protocol_has_a_question_for_them(protocol, lvis, imagenet_s):
    for name, root in (("lvis", lvis), ("imagenet-s", imagenet_s)):
        dataset = open_segmentation_set(name, root)
        question = ask(dataset, load_protocol(protocol), Overrides())
        assert question.class_names == dataset.class_names
        assert question.wordings[-1] == (dataset.class_names[-1],)


def test_verification_names_every_bad_mask(imagenet_s):
    dataset = open_segmentation_set("imagenet-s", imagenet_s)
    dataset.files[0].mask.write_bytes(b"")
    found = verify_set(dataset)
    assert (found.images, found.classes_seen, found.pixels["background"]) == (2, 2, 10)
    assert [problem.image for problem in found.problems] == ["val_1"]
    assert "cannot be read" in found.problems[0].what


def test_every_published_set_says_where_it_is_obtained():
    own = {"folder", "scenes"}
    assert {name for name in SEGMENTATION_SETS if not where_to_get(name, after="")} == own


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("voc12_val_dev", "voc12"),
        ("coco_mini_dev", "coco-object"),
        ("ade20k_dev", "ade20k"),
        ("cityscapes_dev", "cityscapes"),
    ],
)
def test_the_trees_at_hand_are_recognised(folder, name):
    found = recognise_set(shared("data", folder))
    assert found is not None
    assert found.name == name


def test_coco_instances_at_hand_are_drawn_as_coco_draws_them():
    root = shared("data", "coco_mini_dev")
    values = json.loads((root / "instances_train2017.json").read_text())
    dataset = open_segmentation_set("coco-object", root)
    ids = sorted(entry["id"] for entry in values["categories"])
    for index in range(0, 40, 5):
        sample = dataset[index]
        image = next(i for i in values["images"] if i["file_name"].startswith(sample.name))
        expected = np.zeros((image["height"], image["width"]), dtype=np.int64)
        own = [a for a in values["annotations"] if a["image_id"] == image["id"]]
        for entry in sorted(own, key=lambda entry: -entry["area"]):
            outline = entry["segmentation"]
            drawn = coco_masks.frPyObjects(outline, image["height"], image["width"])
            if isinstance(drawn, list):
                drawn = coco_masks.merge(drawn)
            expected[coco_masks.decode(drawn) > 0] = ids.index(entry["category_id"]) + 1
        assert np.array_equal(sample.mask, expected)


def test_masks_at_hand_convert_pixel_by_pixel(tmp_path):
    ade = shared("data", "ade20k_dev")
    convert_set(open_segmentation_set("ade20k", ade), tmp_path / "ade")
    for path in sorted((ade / "annotations").iterdir()):
        published = np.asarray(Image.open(path)).astype(int)
        expected = np.where(published == 0, 255, published - 1)
        assert np.array_equal(read_index_mask(tmp_path / "ade/masks" / path.name), expected)
    camvid = shared("data", "camvid_dev")
    convert_set(open_segmentation_set("camvid", camvid), tmp_path / "camvid")
    for path in sorted((camvid / "labels").iterdir())[:8]:
        published = np.asarray(Image.open(path)).astype(int)
        expected = np.where(published == 11, 255, published)
        assert np.array_equal(read_index_mask(tmp_path / "camvid/masks" / path.name), expected)
        image = next((tmp_path / "camvid/images").glob(f"{path.stem}.*"))
        assert read_image(image).size == expected.shape[::-1]
    city = shared("data", "cityscapes_dev")
    convert_set(open_segmentation_set("cityscapes", city), tmp_path / "city")
    published = np.asarray(Image.open(next(city.glob("*labelTrainIds.png"))))
    written = next((tmp_path / "city/masks").iterdir())
    assert np.array_equal(read_index_mask(written), published)
