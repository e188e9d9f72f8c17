import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgseg_core.text.nouns import broader_nouns, find_broader_nouns, find_nouns, noun_lexicon
from tests.shared_data import shared


@pytest.mark.parametrize(
    ("caption", "nouns"),
    [
        ("", ()),
        ("Two dogs run on the grass .", ("dog", "grass")),
        ("People's faces", ("person", "face")),
        ("a man\N{RIGHT SINGLE QUOTATION MARK}s hat", ("man", "hat")),
        ("Policemen eat ice cream cones", ("policeman", "ice cream cone")),
        ("A dog, another DOG and dogs", ("dog",)),
        ("geese, knives, leaves", ("goose", "knife", "leaf")),
        ("boxes, cherries, buses", ("box", "cherry", "bus")),
        ("a t-shirt, flip-flops", ("t-shirt", "flip flop")),
        ("glasses on a glass", ("glasses", "glass")),
        ("running quickly and left", ()),
    ],
)
def test_captions(caption, nouns):
    assert find_nouns(caption) == nouns


def test_a_puppy_is_a_dog_and_an_animal():
    nouns = find_broader_nouns("Two puppies on a couch")
    assert nouns[:2] == ("puppy", "couch")
    assert set(nouns[2:]) == {"dog", "animal", "sofa"}


def test_what_is_broader_is_in_the_lexicon_and_never_itself():
    strangers = {noun for noun in broader_nouns() if noun not in noun_lexicon()}
    strangers |= {b for broad in broader_nouns().values() for b in broad} - noun_lexicon()
    assert strangers == set()
    assert all(noun not in broad for noun, broad in broader_nouns().items())
    assert all(len(set(broad)) == len(broad) for broad in broader_nouns().values())


def test_the_lexicon_has_no_entry_twice_and_only_plain_words():
    nouns = noun_lexicon()
    assert 800 <= len(nouns) <= 2200
    assert all(noun == noun.lower().strip() and noun for noun in nouns)


def test_every_entry_is_found_by_itself():
    lost = [noun for noun in noun_lexicon() if find_nouns(noun) != (noun,)]
    assert lost == []


@settings(deadline=None)
@given(st.text())
def test_what_is_found_is_in_the_lexicon(caption):
    nouns = find_nouns(caption)
    assert set(nouns) <= noun_lexicon()
    assert len(set(nouns)) == len(nouns)


def test_nearly_every_flickr8k_caption_names_something():
    lines = shared("data", "flickr8k", "captions.tsv").read_text("utf-8").splitlines()[1:]
    captions = [line.split("\t")[2] for line in lines[::5]]
    found = [find_nouns(caption) for caption in captions]
    assert sum(map(bool, found)) / len(found) > 0.99
    assert sum(map(len, found)) / len(found) > 2.5
