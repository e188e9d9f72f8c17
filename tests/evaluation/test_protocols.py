import pytest

from pgseg_core.errors import ConfigError
from pgseg_core.evaluation.protocols import class_list_hash, load_protocol, protocol_names


def test_every_protocol_loads_under_its_own_name() -> None:
    assert "groupvit" in protocol_names()
    for name in protocol_names():
        protocol = load_protocol(name)
        assert protocol.id == name
        assert protocol.stride <= protocol.window
        assert all(rules.systems for rules in protocol.datasets.values())


@pytest.mark.parametrize(
    ("dataset", "classes", "images", "groupvit", "pgseg"),
    [
        ("voc12", 21, 1449, 0.95, 0.95),
        ("context", 60, 5105, 0.35, 0.36),
        ("coco-object", 81, 5000, 0.95, 0.85),
    ],
)
def test_groupvit_thresholds(
    dataset: str, classes: int, images: int, groupvit: float, pgseg: float
) -> None:
    protocol = load_protocol("groupvit")
    rules = protocol.dataset(dataset)
    assert (rules.num_classes, rules.num_images) == (classes, images)
    assert rules.system("groupvit").threshold == groupvit
    assert rules.system("pgseg").threshold == pgseg
    assert rules.background == "capped_threshold"


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
    context = load_protocol("groupvit").dataset("context").system("groupvit")
    assert context.rename(("aeroplane", "sky")) == ("airplane", "sky")


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"(?s)'groupvitt'.*Did you mean groupvit\? Known: group"):
        load_protocol("groupvitt")
    protocol = load_protocol("groupvit")
    with pytest.raises(ConfigError, match=r"(?s)'voc13'.*Did you mean voc12\?"):
        protocol.dataset("voc13")
    with pytest.raises(ConfigError, match=r"(?s)'clip' on Pascal VOC 2012.*Known: groupvit, pgseg"):
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
