import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgseg_core.errors import DataError
from pgseg_core.text.vocabulary import (
    builtin_vocabulary,
    load_vocabulary,
    parse_class_lines,
    parse_class_list,
    read_class_file,
)
from pgseg_core.vocabularies import BUILTIN_VOCABULARIES


def test_names_between_commas():
    vocabulary = parse_class_list(' sky, road ,"cup, glass or mug"')
    assert vocabulary.names == ("sky", "road", "cup, glass or mug")
    assert vocabulary.prompts[2] == ("cup, glass or mug",)


@settings(deadline=None)
@given(
    names=st.lists(
        st.text(st.characters(categories=["L", "N"], include_characters=",:# "), min_size=1)
        .map(lambda name: " ".join(name.split()))
        .filter(bool),
        min_size=1,
        max_size=6,
        unique_by=lambda name: name.casefold(),
    )
)
def test_quoted_names_come_back_as_they_were(names):
    quoted = [f'"{name}"' for name in names]
    assert parse_class_list(",".join(quoted)).names == tuple(names)
    assert parse_class_lines(quoted, where="x").names == tuple(names)


def test_a_file_with_synonyms_wordings_and_comments(tmp_path):
    file = tmp_path / "classes.txt"
    file.write_text(
        "\ufeff# mine\nsky\ntree, trees, bush # green\n\npottedplant: plant, house plant\n", "utf-8"
    )
    vocabulary = parse_class_list(f"@{file}")
    assert vocabulary == read_class_file(file) == load_vocabulary(f" @{file}")
    assert vocabulary.names == ("sky", "tree", "pottedplant")
    assert vocabulary.prompts == (("sky",), ("tree", "trees", "bush"), ("plant", "house plant"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("sky,,road", "empty name beside 'sky', 'road'"),
        ("sky,", "empty name"),
        (",", "empty name"),
        ("sky,road,sky", "'sky' is named twice"),
        ("Sky, sky ", r"'sky' is named twice \(as 'Sky' before\)"),
        ("traffic  light,Traffic light", "named twice"),
        ('sky,"road', "quote is opened and not closed"),
    ],
)
def test_a_bad_list_is_refused(value, message):
    with pytest.raises(DataError, match=message):
        parse_class_list(value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["# only"], "names no class"),
        (["a", "A"], "x.txt: class 'A' is named twice"),
        (["a,,b"], "line 1: an empty name"),
        (["a: "], "line 1: an empty name"),
        ([": a"], "line 1: an empty name"),
        (["a: b: c"], "more than one colon"),
        (["ok", 'a "b'], "line 2: a quote"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(lines, message):
    with pytest.raises(DataError, match=message):
        parse_class_lines(lines, where="x.txt")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt"):
        parse_class_list(f"@{tmp_path}/none.txt")


def test_voc12_has_its_foreground_in_mask_order_and_the_renames():
    vocabulary = load_vocabulary("voc12")
    assert len(vocabulary) == 20
    assert vocabulary.names[0] == "aeroplane"
    assert vocabulary.names[-1] == "tvmonitor"
    renamed = {entry.name: entry.prompts for entry in vocabulary.classes}
    changed = {name: prompts for name, prompts in renamed.items() if prompts != (name,)}
    assert changed == {
        "diningtable": ("table",),
        "pottedplant": ("plant",),
        "tvmonitor": ("monitor",),
    }


def test_every_builtin_vocabulary_loads():
    for name in BUILTIN_VOCABULARIES:
        assert builtin_vocabulary(name).names


def test_an_unknown_builtin_lists_what_there_is():
    with pytest.raises(DataError, match="'voc7'") as caught:
        builtin_vocabulary("voc7")
    assert "voc12" in caught.value.hint


def test_select_keeps_the_order_asked_for():
    vocabulary = parse_class_list("sky,road,tree").select(["Tree", "sky"])
    assert vocabulary.names == ("tree", "sky")
    with pytest.raises(DataError, match="'sea'"):
        vocabulary.select(["sea"])
