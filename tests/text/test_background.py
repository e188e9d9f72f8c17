"""Lists of background words: every way to name one, and what is left out of it."""

import pytest

from pgseg_core.errors import ConfigError, DataError
from pgseg_core.text.background import BackgroundWords, load_background_words
from pgseg_core.text.vocabulary import builtin_vocabulary


def test_the_built_in_list_names_stuff_and_none_of_vocs_or_cocos_objects():
    stuff = load_background_words("stuff")
    assert stuff.source == "stuff"
    assert 25 <= len(stuff.words) == len(set(stuff.words))
    assert {"grass", "sky", "water", "road", "wall"} <= set(stuff.words)
    for name in ("voc12", "coco-object"):
        objects = builtin_vocabulary(name)
        assert not stuff.taken([*objects.names, *(w for own in objects.prompts for w in own)])


def test_words_are_named_one_by_one_or_in_a_file(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("# mine\ngrass, lawn\nopen field\nGrass: sky\n")
    for source in (str(file), f"@{file}"):
        with pytest.raises(DataError, match="named twice"):
            load_background_words(source)
    file.write_text("# mine\ngrass, lawn\nopen  field\nhouse: lawn, sky\n")
    for source in (str(file), f"@{file}"):
        found = load_background_words(source)
        assert found == BackgroundWords(("grass", "lawn", "open field", "sky"), "words.txt")
    assert load_background_words("grass, sky").words == ("grass", "sky")
    assert load_background_words(["grass", "sky"]).words == ("grass", "sky")
    assert load_background_words("grass,sky").hash == load_background_words(["grass", "sky"]).hash
    for nothing in (None, "none", ()):
        assert load_background_words(nothing) == BackgroundWords()
    assert BackgroundWords().hash == ""


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("stuf", ConfigError, "Did you mean stuff"),
        ("gone.txt", ConfigError, "neither a file nor a built-in list"),
        ("@gone.txt", DataError, "gone.txt cannot be read"),
        ("grass,,sky", DataError, "empty name"),
        ("", DataError, "empty"),
    ],
)
def test_what_is_no_list_is_refused(source, error, words):
    with pytest.raises(error) as refused:
        load_background_words(source)
    assert words in str(refused.value)


def test_a_class_is_no_background():
    words = BackgroundWords(("Grass", "open field", "sky"), "given")
    assert words.beside(["grass", "Open  Field"]) == BackgroundWords(("sky",), "given")
    assert words.taken(["grass", "Open  Field"]) == ("Grass", "open field")
