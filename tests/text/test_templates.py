import pytest

from pgseg_core.errors import DataError
from pgseg_core.text.templates import (
    BUILTIN_TEMPLATES,
    fill_templates,
    load_templates,
    parse_templates,
)


@pytest.mark.parametrize(("name", "count"), [("simple", 1), ("subset", 9), ("full", 80)])
def test_builtin_sets_have_their_published_size(name, count):
    assert name in BUILTIN_TEMPLATES
    templates = load_templates(name)
    assert len(set(templates)) == count


def test_the_published_prompt_is_the_simple_set():
    assert fill_templates(load_templates("simple"), "dog") == ("a photo of a dog.",)


@pytest.mark.slow
def test_the_full_set_is_open_clips():
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    assert load_templates("full") == tuple(fill("{}") for fill in OPENAI_IMAGENET_TEMPLATES)


def test_a_users_file(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("\ufeff# mine\n\n  a sketch of a {}  \n{} {{braces}} stay\n".replace("{{", "{"))
    assert load_templates(file)[0] == "a sketch of a {}"


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(DataError, match="nope") as caught:
        load_templates("nope")
    assert "simple, subset, full" in caught.value.hint


@pytest.mark.parametrize(("text", "number"), [("a photo", 0), ("{} and {}", 2)])
def test_a_line_without_one_place_is_named(text, number):
    with pytest.raises(DataError, match=f"x.txt, line 2.*has {number} places"):
        parse_templates(f"a {{}}\n{text}\n", name="x.txt")


def test_a_file_without_templates_is_refused():
    with pytest.raises(DataError, match="holds no template"):
        parse_templates("# nothing\n\n", name="x.txt")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    file = tmp_path / "x.txt"
    file.write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(DataError, match="neither a built-in set nor a readable text file"):
        load_templates(file)
