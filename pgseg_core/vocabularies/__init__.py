"""Class lists and colours that ship with pgseg: one text file a list, read by several rooms.

They lie below the two rooms because a set's masks and a question's wordings are about the same
names, and neither room knows the other. The lists name foreground classes only, in label order;
the lists of protocol `sclip` begin with what counts as background. `colours/` has the colours that
the publishers of some sets gave their classes: a line `R G B  name` each.
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


PUBLISHED_COLOURS = ("voc12", "coco-object", "ade20k", "cityscapes", "camvid")
"""Lists whose classes have colours of their publishers'."""


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


def published_colours(name: str) -> dict[str, tuple[int, int, int]]:
    """Return the red, green and blue of each class of a list of `PUBLISHED_COLOURS`, by name."""
    assert name in PUBLISHED_COLOURS, f"{name} has no colours of its own"
    text = resources.files(__name__).joinpath("colours", f"{name}.txt").read_text("utf-8")
    lines = [line.split(maxsplit=3) for line in text.splitlines() if not line.startswith("#")]
    return {title: (int(red), int(green), int(blue)) for red, green, blue, title in lines}
