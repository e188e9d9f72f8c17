import pytest

from pgseg_core.errors import ConfigError
from pgseg_core.evaluation.protocols import class_list_hash, load_protocol, protocol_names


def test_every_protocol_loads_under_its_own_name() -> None:
    assert "groupvit" in protocol_names()
    for name in protocol_names():
        protocol = load_protocol(name)
        assert protocol.id == name
        assert protocol.stride <= protocol.window


@pytest.mark.parametrize(
    ("dataset", "classes", "images", "thresholds"),
    [
        ("voc12", 21, 1449, {"groupvit": 0.95, "pgseg": 0.95, "ovsegmentor": 0.95}),
        ("context60", 60, 5105, {"groupvit": 0.35, "pgseg": 0.36, "ovsegmentor": 0.35}),
        ("coco-object", 81, 5000, {"groupvit": 0.95, "pgseg": 0.85, "ovsegmentor": 0.9}),
    ],
)
def test_groupvit_thresholds(
    dataset: str, classes: int, images: int, thresholds: dict[str, float]
) -> None:
    protocol = load_protocol("groupvit")
    rules = protocol.dataset(dataset)
    assert (rules.num_classes, rules.num_images) == (classes, images)
    assert {name: chosen.threshold for name, chosen in rules.systems.items()} == thresholds
    assert protocol.background == "capped_threshold"


def test_groupvit_reads_images_in_windows_of_448() -> None:
    protocol = load_protocol("groupvit")
    read = (protocol.short_side, protocol.long_side, protocol.window, protocol.stride)
    assert read == (448, 2048, 448, 224)
    assert (protocol.templates, protocol.top_k) == ("simple", 5)


def test_coco_object_counts_unlabelled_pixels_as_background() -> None:
    protocol = load_protocol("groupvit")
    assert protocol.dataset("coco-object").unlabelled == "background"
    assert protocol.dataset("voc12").unlabelled == "ignore"


def test_renamed_classes_keep_their_places() -> None:
    names = ("background", "aeroplane", "diningtable", "pottedplant", "tvmonitor")
    rules = load_protocol("groupvit").dataset("voc12").system("pgseg")
    assert rules.rename(names) == ("background", "aeroplane", "table", "plant", "monitor")
    context = load_protocol("groupvit").dataset("context60").system("groupvit")
    assert context.rename(("aeroplane", "sky")) == ("airplane", "sky")


def test_tcl_asks_with_nine_prompts_and_one_background_score() -> None:
    protocol = load_protocol("tcl")
    assert (protocol.templates, protocol.top_k, protocol.scores) == ("subset", None, "softmax")
    assert (protocol.background, protocol.threshold) == ("constant_score", 0.5)
    assert {name: rules.num_classes for name, rules in protocol.datasets.items()} == {
        "voc12": 21, "voc20": 20, "context60": 60, "context59": 59, "coco-object": 81,
        "coco-stuff": 171, "cityscapes": 19, "ade20k": 150,
    }  # fmt: skip
    assert protocol.rules("voc12", None) == (0.5, {}, None)


def test_sclip_reads_small_windows_and_scales_by_set() -> None:
    protocol = load_protocol("sclip")
    read = (protocol.short_side, protocol.long_side, protocol.window, protocol.stride)
    assert read == (336, 2048, 224, 112)
    assert (protocol.templates, protocol.normalise, protocol.unit_prompts) == ("full", "clip", True)
    sets = ("voc12", "voc20", "context60", "coco-object", "ade20k", "elsewhere")
    assert [protocol.scale(name) for name in sets] == [65, 40, 50, 50, 40, 40]
    assert protocol.rules("voc12", None) == (0.1, {}, "sclip/voc12")


def test_a_system_that_the_protocol_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"protocol tcl has no system 'pgseg'"):
        load_protocol("tcl").rules("voc12", "pgseg")
    with pytest.raises(
        ConfigError, match=r"(?s)no system 'clip'.*Known: groupvit, ovsegmentor, pgseg"
    ):
        load_protocol("groupvit").rules("elsewhere", "clip")


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"(?s)'groupvitt'.*Did you mean groupvit\? Known: group"):
        load_protocol("groupvitt")
    protocol = load_protocol("groupvit")
    with pytest.raises(ConfigError, match=r"(?s)'voc13'.*Did you mean voc12\?"):
        protocol.dataset("voc13")
    with pytest.raises(
        ConfigError, match=r"(?s)'clip' on Pascal VOC 2012.*Known: groupvit, ovsegmentor, pgseg"
    ):
        protocol.dataset("voc12").system("clip")


def test_class_hash_depends_on_names_prompts_and_order_only() -> None:
    names, prompts = ("background", "cat"), ((), ("a photo of a cat.",))
    known = class_list_hash(names, prompts)
    assert len(known) == 12
    assert class_list_hash(list(names), [list(texts) for texts in prompts]) == known
    assert class_list_hash(("background", "dog"), prompts) != known
    assert class_list_hash(names, ((), ("a cat.",))) != known
    assert class_list_hash(names[::-1], prompts[::-1]) != known
    assert class_list_hash(("a", "b"), (("x", "y"), ())) != class_list_hash(
        ("a", "b"), (("x",), ("y",))
    )


def test_class_hash_is_the_same_on_every_machine() -> None:
    assert class_list_hash(["über"], [["x"]]) == "6645b4b1204a"
