from itertools import pairwise

import numpy as np

from pgseg_core.data.scenes import CLASS_NAMES, CLASSES, Scene
from pgseg_core.data.scenes.captions import Facts, write_captions
from pgseg_core.data.scenes.classes import CLASS_INDEX
from pgseg_core.data.scenes.dice import Dice

CLASS_OF_WORD = {word: entry.name for entry in CLASSES for word in entry.words}


def named(caption: str) -> set[str]:
    """The classes a caption speaks of."""
    return {CLASS_OF_WORD[word] for word in caption.split() if word in CLASS_OF_WORD}


def test_no_word_belongs_to_two_classes() -> None:
    words = [word for entry in CLASSES for word in entry.words]
    assert len(words) == len(set(words))
    assert all(word == word.lower() and word.isalpha() for word in words)


def test_captions_name_only_what_is_there(scenes: list[Scene]) -> None:
    for scene in scenes:
        for caption in scene.captions:
            for name in named(caption):
                share = (scene.mask == CLASS_INDEX[name]).mean()
                assert share >= 0.005, (caption, name)


def test_captions_name_one_to_five_classes(scenes: list[Scene]) -> None:
    counts = [len(named(caption)) for scene in scenes for caption in scene.captions]
    assert min(counts) >= 1
    assert max(counts) <= 5
    assert 1.5 < np.mean(counts) < 3


def test_captions_do_not_always_name_everything(scenes: list[Scene]) -> None:
    unsaid = 0
    for scene in scenes:
        shares = np.bincount(scene.mask.ravel(), minlength=len(CLASS_NAMES)) / scene.mask.size
        there = {name for name, share in zip(CLASS_NAMES, shares, strict=True) if share > 0.02}
        unsaid += any(there - named(caption) for caption in scene.captions)
    assert unsaid > 0.9 * len(scenes)


def test_every_class_is_spoken_of(scenes: list[Scene]) -> None:
    spoken = [named(caption) for scene in scenes for caption in scene.captions]
    for name in CLASS_NAMES:
        assert sum(name in names for names in spoken) > 0.015 * len(spoken), name


def test_captions_use_the_words_of_the_class_list(scenes: list[Scene]) -> None:
    heard = {word for scene in scenes for caption in scene.captions for word in caption.split()}
    assert len(set(CLASS_OF_WORD) - heard) <= 4


def test_articles_fit(scenes: list[Scene]) -> None:
    for scene in scenes:
        for caption in scene.captions:
            words = caption.split()
            for article, word in pairwise(words):
                if article in ("a", "an"):
                    assert (article == "an") == (word[0] in "aeiou"), caption


def test_captions_repeat_only_when_there_is_nothing_else_to_say() -> None:
    facts = Facts(shares={"sky": 1.0}, things=(), light="clear")
    captions = write_captions(facts, Dice(0))
    assert len(captions) == 5
    assert all(named(caption) == {"sky"} for caption in captions)
