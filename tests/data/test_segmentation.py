import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pgseg_core.data.segmentation import (
    SEGMENTATION_SETS,
    VOC12_CLASSES,
    open_segmentation_set,
    read_index_mask,
)
from pgseg_core.errors import DataError
from pgseg_core.text.vocabulary import builtin_vocabulary, load_vocabulary, read_class_file
from tests.data.conftest import jpeg, random_image
from tests.shared_data import shared


def write_mask(path, values, mode="P"):
    mask = Image.fromarray(np.asarray(values, dtype=np.uint8))
    if mode == "P":
        mask.putpalette([value for label in range(256) for value in (label, 0, 255 - label)])
    mask.save(path)


@pytest.fixture
def voc(tmp_path):
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    names = ["2007_000001", "2007_000002"]
    for number, name in enumerate(names):
        (tmp_path / "JPEGImages" / f"{name}.jpg").write_bytes(jpeg(random_image(number, 6, 4)))
        mask = np.full((4, 6), 255)
        mask[:2] = number * 15
        write_mask(tmp_path / "SegmentationClass" / f"{name}.png", mask)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("\n".join(names) + "\n")
    return tmp_path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text('sky\n# no\n"cup, mug": cup\n\ngrass, lawn\n')
    for name, suffix in (("b", "png"), ("a", "JPG")):
        kind = {"png": "PNG", "JPG": "JPEG"}[suffix]
        random_image(0, 6, 4).save(tmp_path / "images" / f"{name}.{suffix}", kind)
        write_mask(tmp_path / "masks" / f"{name}.png", np.arange(24).reshape(4, 6) % 3, "L")
    return tmp_path


def test_a_voc_tree(voc):
    dataset = open_segmentation_set("voc12", voc)
    assert dataset.name == "voc12"
    assert len(dataset) == 2
    assert dataset.has_background
    assert dataset.ignore_label == 255
    assert dataset.class_names == VOC12_CLASSES
    sample = dataset[1]
    assert sample.name == "2007_000002"
    assert (sample.image.mode, sample.image.size) == ("RGB", (6, 4))
    assert sample.mask.shape == (4, 6)
    assert np.unique(sample.mask).tolist() == [15, 255]
    with pytest.raises(IndexError):
        dataset[2]


def test_a_voc_tree_is_found_below_its_devkit(voc, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / "VOCdevkit").mkdir()
    (root / "VOCdevkit" / "VOC2012").symlink_to(voc)
    assert len(open_segmentation_set("voc12", root)) == 2


def test_the_sets_names_agree_with_the_vocabulary(voc):
    dataset = open_segmentation_set("voc12", voc)
    assert builtin_vocabulary(dataset.vocabulary).names == dataset.class_names[1:]


@pytest.mark.parametrize("kind", ["folder", "scenes"])
def test_a_plain_folder(folder, kind):
    dataset = open_segmentation_set(kind, folder)
    assert dataset.class_names == ("sky", "cup, mug", "grass")
    assert load_vocabulary(dataset.vocabulary).names == dataset.class_names
    assert not dataset.has_background
    assert [dataset[index].name for index in range(2)] == ["a", "b"]
    assert dataset[0].mask.tolist() == (np.arange(24).reshape(4, 6) % 3).tolist()


def test_a_first_class_called_background_is_the_background(folder):
    (folder / "classes.txt").write_text("Background\nsky\ngrass\n")
    assert open_segmentation_set("folder", folder).has_background


PLAIN_CLASS = st.from_regex(r"[a-z ]{0,4}[a-z](, ?[a-z]{1,3})?", fullmatch=True)
QUOTED_CLASS = st.from_regex(r'"[a-z,:#]{1,5}"(: ?[a-z]{1,3})?', fullmatch=True)


@settings(deadline=None)
@given(lines=st.lists(PLAIN_CLASS | QUOTED_CLASS, min_size=1, max_size=5))
def test_class_files_are_read_as_vocabularies_read_them(lines, tmp_path_factory):
    path = tmp_path_factory.mktemp("classes") / "classes.txt"
    path.write_text("\n".join(lines))
    try:
        names = read_class_file(path).names
    except DataError:
        return
    from pgseg_core.data.segmentation.trees import read_class_names

    assert read_class_names(path) == names


def test_missing_files_are_counted_and_listed(voc):
    (voc / "ImageSets/Segmentation/val.txt").write_text("2007_000001\nx1\nx2\n")
    with pytest.raises(DataError, match=r"4 missing in .*: JPEGImages/x1\.jpg, .* and 1 more") as c:
        open_segmentation_set("voc12", voc)
    assert "ImageSets/Segmentation/val.txt" in c.value.hint


def test_what_is_no_voc_tree_says_what_is_expected(tmp_path):
    with pytest.raises(DataError, match=r"val\.txt cannot be read") as caught:
        open_segmentation_set("voc12", tmp_path)
    assert "JPEGImages" in caught.value.hint
    with pytest.raises(DataError, match="does not exist"):
        open_segmentation_set("voc12", tmp_path / "none")


def test_an_empty_list_is_refused(voc):
    (voc / "ImageSets/Segmentation/val.txt").write_text("\n")
    with pytest.raises(DataError, match="names no image"):
        open_segmentation_set("voc12", voc)


def test_an_incomplete_folder_lists_what_is_missing(folder):
    (folder / "masks" / "a.png").unlink()
    (folder / "images" / "b.png").unlink()
    with pytest.raises(DataError, match=r"2 missing in .*: masks/a\.png, images/b\.jpg"):
        open_segmentation_set("folder", folder)
    (folder / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"1 missing in .*: classes\.txt"):
        open_segmentation_set("folder", folder)


def test_a_folder_without_images_is_refused(folder):
    for path in [*(folder / "images").iterdir(), *(folder / "masks").iterdir()]:
        path.unlink()
    with pytest.raises(DataError, match="names no image"):
        open_segmentation_set("folder", folder)


def test_two_images_of_one_name_are_refused(folder):
    (folder / "images" / "a.png").touch()
    with pytest.raises(DataError, match=r"a\.JPG and a\.png have the same name"):
        open_segmentation_set("folder", folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"# none\n", "names no class"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_bad_class_file_is_refused(folder, content, message):
    (folder / "classes.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_segmentation_set("folder", folder)


def test_unknown_kinds_list_the_known(tmp_path):
    with pytest.raises(DataError, match="'ade'") as caught:
        open_segmentation_set("ade", tmp_path)
    assert caught.value.hint == f"Did you mean ade20k? There are: {', '.join(SEGMENTATION_SETS)}"


def test_a_mask_of_another_size_is_named(folder):
    write_mask(folder / "masks" / "a.png", np.zeros((6, 4)))
    with pytest.raises(DataError, match=r"a\.png has 4 x 6 pixels, its image 6 x 4"):
        open_segmentation_set("folder", folder)[0]


def test_a_label_that_is_no_class_is_named(folder):
    write_mask(folder / "masks" / "a.png", np.full((4, 6), 3))
    with pytest.raises(DataError, match=r"a\.png has labels outside the 3 classes: 3") as caught:
        open_segmentation_set("folder", folder)[0]
    assert "0 to 2" in caught.value.hint


def test_a_colour_mask_and_a_damaged_one_are_named(folder):
    random_image(0, 6, 4).save(folder / "masks" / "a.png")
    with pytest.raises(DataError, match=r"a\.png is a colour image \(RGB\)"):
        open_segmentation_set("folder", folder)[0]
    (folder / "masks" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.png is no image that can be read"):
        open_segmentation_set("folder", folder)[0]


def test_sixteen_bit_masks_keep_their_labels(tmp_path):
    values = np.array([[0, 300]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "m.png")
    assert read_index_mask(tmp_path / "m.png").tolist() == [[0, 300]]


def test_the_voc_images_at_hand_open():
    dataset = open_segmentation_set("voc12", shared("data", "voc12_val_dev"))
    assert len(dataset) == 335
    labels = {int(label) for index in range(0, 335, 20) for label in np.unique(dataset[index].mask)}
    assert labels <= {*range(21), 255}
