"""Class lists that ship with pgseg: one text file a list, read by both `text` and `data`.

They lie below the two rooms because a set's masks and a question's wordings are about the same
names, and neither room knows the other. The lists name foreground classes only, in label order;
the lists of protocol `sclip` begin with what counts as background.
"""

from importlib import resources

BUILTIN_VOCABULARIES = (
    *(
        "voc12",
        "context",
        "coco-object",
        "coco-stuff",
        "ade20k",
        "cityscapes",
        "camvid",
        "imagenet",
    ),
    *("sclip/voc12", "sclip/voc20", "sclip/coco-object"),
)
"""Lists by name."""
BACKGROUND_LISTS = ("stuff",)
"""Lists of words that answer as background, in the folder `background/`: nobody's classes."""


def vocabulary_text(name: str) -> str:
    """Return the text of a list of `BUILTIN_VOCABULARIES`: one class a line, as class files are."""
    assert name in BUILTIN_VOCABULARIES, f"no list called {name}"
    return _text(name)


def background_text(name: str) -> str:
    """Return the text of a list of `BACKGROUND_LISTS`, as class files are."""
    assert name in BACKGROUND_LISTS, f"no list called {name}"
    return _text(f"background/{name}")


def _text(name: str) -> str:
    file = resources.files(__name__).joinpath(*f"{name}.txt".split("/"))
    return file.read_text(encoding="utf-8")
