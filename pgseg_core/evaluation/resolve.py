"""What a model is asked on a set: the wordings of every class, and when a pixel is background.

Put together from the set, the protocol and what the caller wants otherwise, before any image is
read, so that a wrong class file or threshold is known at once.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgseg_core.data.segmentation import BACKGROUND, SegmentationSet
from pgseg_core.errors import ConfigError, DataError, did_you_mean
from pgseg_core.evaluation.protocols import DEFAULT_SYSTEM, Protocol, class_list_hash
from pgseg_core.inference.refinements import REFINEMENTS
from pgseg_core.text.background import (
    NO_BACKGROUND_WORDS,
    BackgroundWords,
    load_background_words,
)
from pgseg_core.text.templates import load_templates
from pgseg_core.text.vocabulary import (
    Vocabulary,
    builtin_vocabulary,
    load_vocabulary,
    read_class_file,
)


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What a caller wants otherwise than the protocol has it."""

    system: str | None = None
    """Whose thresholds and renamed classes, where the protocol has several."""
    background: str = "auto"
    """`auto`: the protocol's threshold; `none`: no pixel is called background by one; or a
    threshold."""
    background_from: str = "given"
    """Who chose that threshold, in words."""
    background_words: BackgroundWords | str | Sequence[str] | None = None
    """Words that compete like classes and answer as background (see `text.background`)."""
    templates: str | None = None
    """A template set's name or file."""
    classes: Path | None = None
    """A class file with other wordings."""
    refine: str = "none"
    """What is done to masks: one of `REFINEMENTS`."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """Everything asked, ready for any image of the set."""

    class_names: tuple[str, ...]
    """The set's own names in label order, background included (c of them)."""
    wordings: tuple[tuple[str, ...], ...]
    """For each class what stands in prompts; nothing for a background without prompt."""
    has_background: bool
    """Whether class 0 is the background."""
    threshold: float | None
    """Background threshold; None where no pixel is called background."""
    threshold_from: str
    """Who chose it, in words."""
    background_words: BackgroundWords = NO_BACKGROUND_WORDS
    """Words that compete like classes and answer as background; none is a class here."""
    left_out: tuple[str, ...] = ()
    """Words that were asked for and are classes here."""
    templates: str
    """Name or file of the template set."""
    logit_scale: float | None
    """Factor of the cosines; None is the model's own."""
    refine: str = "none"
    """What is done to masks."""

    @property
    def class_hash(self) -> str:
        """Name of the classes and wordings, equal for equal ones."""
        return class_list_hash(self.class_names, self.wordings)

    @property
    def templates_hash(self) -> str:
        """Name of the templates' text, equal for equal ones."""
        text = json.dumps(load_templates(self.templates), ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]

    @property
    def prompts_background(self) -> bool:
        """Whether the background has wordings of its own."""
        return self.has_background and bool(self.wordings[0])


def ask(dataset: SegmentationSet, protocol: Protocol, wanted: Overrides) -> Question:
    """Put the question of a protocol to a set.

    Raises:
        ConfigError: An unknown system, or a background that the set has not.
        DataError: The class file, background words or templates cannot be read, or the file is
            about other classes.
    """
    if wanted.refine not in REFINEMENTS:
        raise ConfigError(
            f"--refine: no refinement called '{wanted.refine}'",
            hint=did_you_mean(wanted.refine, REFINEMENTS),
        )
    standard, renamed, vocabulary = protocol.rules(dataset.name, wanted.system)
    if wanted.refine == "pamr" and protocol.refined_threshold is not None:
        standard = protocol.refined_threshold
    prompts_background = dataset.has_background and protocol.background == "probability"
    if wanted.classes is not None:
        words = _file_wordings(dataset, wanted.classes, prompts_background=prompts_background)
    else:
        words = _own_wordings(dataset, protocol, renamed, vocabulary)
    threshold, source = _threshold(dataset, protocol, wanted, standard)
    stuff = load_background_words(wanted.background_words)
    if stuff.words and not dataset.has_background:
        raise ConfigError(
            f"--background-words: {dataset.name} has no background class", hint="Leave it out."
        )
    names = dataset.class_names
    if dataset.has_background:
        own = words.get(names[0], words.get(BACKGROUND, (BACKGROUND,)))
        first = own if prompts_background else ()
        wordings = (first, *(words[name] for name in names[1:]))
    else:
        wordings = tuple(words[name] for name in names)
    taken = [*names, *(wording for own in wordings for wording in own)]
    question = Question(
        class_names=names,
        wordings=wordings,
        has_background=dataset.has_background,
        threshold=threshold,
        threshold_from=source,
        background_words=stuff.beside(taken),
        left_out=stuff.taken(taken),
        templates=wanted.templates or protocol.templates,
        logit_scale=protocol.scale(dataset.name),
        refine=wanted.refine,
    )
    load_templates(question.templates)
    return question


def _own_wordings(
    dataset: SegmentationSet,
    protocol: Protocol,
    renamed: Mapping[str, str],
    vocabulary: str | None,
) -> dict[str, tuple[str, ...]]:
    if vocabulary is not None:
        return _by_name(builtin_vocabulary(vocabulary))
    listed = load_vocabulary(dataset.vocabulary)
    ours = not dataset.vocabulary.startswith("@")
    if ours and (dataset.name in protocol.datasets or protocol.names == "dataset"):
        return {name: (renamed.get(name, name),) for name in listed.names}
    return _by_name(listed)


def _file_wordings(
    dataset: SegmentationSet, path: Path, *, prompts_background: bool
) -> dict[str, tuple[str, ...]]:
    listed = read_class_file(path)
    wanted = dataset.class_names[1:] if dataset.has_background else dataset.class_names
    entries = {entry.name.casefold(): entry.prompts for entry in listed.classes}
    known = {name.casefold() for name in wanted} | ({BACKGROUND} if prompts_background else set())
    missing = [name for name in wanted if name.casefold() not in entries]
    strangers = [name for name in listed.names if name.casefold() not in known]
    if missing or strangers:
        fault = (
            f"has no class '{missing[0]}', which {dataset.name} has"
            if missing
            else f"has a class '{strangers[0]}', which is not asked for on {dataset.name}"
        )
        raise DataError(
            f"{path} {fault}",
            hint="Write each of the set's classes once (name: wording, wording): "
            + ", ".join(wanted),
        )
    words = {name: entries[name.casefold()] for name in wanted}
    if BACKGROUND in entries:
        words[BACKGROUND] = entries[BACKGROUND]
    return words


def _by_name(vocabulary: Vocabulary) -> dict[str, tuple[str, ...]]:
    return dict(zip(vocabulary.names, vocabulary.prompts, strict=True))


def _threshold(
    dataset: SegmentationSet, protocol: Protocol, wanted: Overrides, standard: float
) -> tuple[float | None, str]:
    if wanted.background == "auto":
        if not dataset.has_background:
            return None, "the set has no background"
        known = protocol.datasets.get(dataset.name)
        system = (wanted.system or DEFAULT_SYSTEM) if known is not None and known.systems else ""
        return standard, f"protocol {protocol.id}" + (f", system {system}" if system else "")
    if wanted.background == "none":
        return None, "--background none"
    try:
        value = float(wanted.background)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ConfigError(
            f"--background {wanted.background}: no threshold between 0 and 1",
            hint="Give auto, none, recommended, a number such as 0.9, or the report of a sweep.",
        )
    if not dataset.has_background:
        raise ConfigError(
            f"--background {wanted.background}: {dataset.name} has no background class",
            hint="Leave it out.",
        )
    return value, wanted.background_from
