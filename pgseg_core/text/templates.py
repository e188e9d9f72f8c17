"""Prompt templates: the sentences a class name is put into before it is embedded.

Each set is a text file under `prompts/`, one template a line, `{}` where the class name goes.
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pgseg_core.errors import DataError, did_you_mean

BUILTIN_TEMPLATES = ("simple", "subset", "full")
"""`simple`: one template (protocol groupvit). `subset`: nine (protocol tcl). `full`: CLIP's 80."""

PLACE = "{}"
"""Where a template takes the class name."""


def load_templates(source: str | Path) -> tuple[str, ...]:
    """Return a set of prompt templates.

    Args:
        source: A name of `BUILTIN_TEMPLATES`, or a text file with one template a line (blank lines
            and lines starting with `#` are passed over).

    Raises:
        DataError: No set or file of that name, an empty file, or a line without exactly one `{}`.
    """
    name = str(source)
    if name in BUILTIN_TEMPLATES:
        file = resources.files("pgseg_core.text") / "prompts" / f"{name}.txt"
        return parse_templates(file.read_text(encoding="utf-8"), name=name)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"templates: '{name}' is neither a built-in set nor a readable text file",
            hint=f"{did_you_mean(name, BUILTIN_TEMPLATES, what='Built in')}. "
            f"Or a file with one template a line, such as: a photo of a {PLACE}.",
        ) from error
    return parse_templates(text, name=name)


def parse_templates(text: str, *, name: str) -> tuple[str, ...]:
    """Read templates from text, one a line.

    Args:
        text: The lines.
        name: What to call them in an error.

    Raises:
        DataError: No template, or a line without exactly one `{}`.
    """
    templates = []
    for number, line in enumerate(text.splitlines(), start=1):
        template = line.strip().lstrip("\ufeff")
        if not template or template.startswith("#"):
            continue
        if template.count(PLACE) != 1:
            raise DataError(
                f"{name}, line {number}: '{template}' has {template.count(PLACE)} places for the "
                "class name",
                hint=f"Write {PLACE} once in each line, such as: a photo of a {PLACE}.",
            )
        templates.append(template)
    if not templates:
        raise DataError(
            f"{name} holds no template",
            hint=f"Write one a line, such as: a photo of a {PLACE}.",
        )
    return tuple(templates)


def fill_prompts(templates: tuple[str, ...], wordings: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the prompts of each group of wordings: every wording in every template."""
    return [
        [filled for wording in group for filled in fill_templates(templates, wording)]
        for group in wordings
    ]


def fill_templates(templates: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Put a class name into every template."""
    return tuple(template.replace(PLACE, name) for template in templates)
