"""ImageNet's class names, and what they are kinds of."""

from pgseg_core.text.imagenet import imagenet_kinds, imagenet_names
from pgseg_core.text.nouns import noun_lexicon


def test_a_thousand_names_in_the_usual_order():
    names = imagenet_names()
    assert len(names) == 1000
    assert names[0] == "tench fish"
    assert names[208] == "Labrador Retriever dog"
    assert names[281] == "tabby cat"  # a cat by its name: not "tabby cat cat"
    assert names[999].startswith("toilet paper")


def test_kinds_are_known_nouns_of_existing_classes():
    kinds = imagenet_kinds()
    assert set(kinds) <= set(noun_lexicon())
    assert len(kinds["dog"]) == 118
    assert all(0 <= index < 1000 for members in kinds.values() for index in members)
