"""What `pgseg segment` and `pgseg explain` ask for in common: which classes, and how."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgseg_cli.console import say
from pgseg_core.errors import ConfigError, nearest_name
from pgseg_core.memory import kept_for_good

if TYPE_CHECKING:
    from pgseg_core.inference.class_bank import ClassBank
    from pgseg_core.inference.options import SegmentOptions
    from pgseg_core.inference.segmenter import Segmenter
    from pgseg_core.inference.suggest import Suggester
    from pgseg_core.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Question:
    """Classes before a model, ready to be asked."""

    segmenter: "Segmenter"
    classes: "ClassBank | Suggester"
    options: "SegmentOptions"
    """How, with what the weights recommend."""
    plain: dict[str, Any]
    """The question as plain values."""


@dataclass(frozen=True)
class Asked:
    """Classes and options, checked before any weights are read."""

    vocabulary: "Vocabulary"
    suggestions: int | None
    """How many of the classes are taken for each photo; None takes all."""
    templates: str
    options: "SegmentOptions"

    def open(self, weights: Path | None, device: str, runtime: str = "auto") -> Question:
        """Load the weights and embed the classes; what was left open is what they recommend."""
        with kept_for_good():
            from pgseg_core.inference.segmenter import Segmenter

            segmenter = Segmenter.load(weights, device=device, runtime=runtime)
        from pgseg_core.inference.suggest import Suggester
        from pgseg_core.results.job import plain_options
        from pgseg_core.weights import weights_name

        say(f"weights: {weights_name(segmenter.origin)}")
        options = segmenter.settled(self.options)
        _tell_background(self, options)
        bank = segmenter.embed_classes(self.vocabulary, templates=self.templates)
        wordings = zip(self.vocabulary.names, self.vocabulary.prompts, strict=True)
        plain = {
            "weights": segmenter.origin,
            "classes": None if self.suggestions else {n: list(words) for n, words in wordings},
            "suggestions": self.suggestions,
            "templates": self.templates,
            **plain_options(options),
        }
        chosen = Suggester(bank, self.suggestions) if self.suggestions else bank
        return Question(segmenter, chosen, options, plain)


def ask(
    classes: str | None,
    vocab: str | None,
    suggestions: int | None,
    *,
    templates: str,
    background: bool,
    threshold: float | None,
    background_words: str | None,
    top_k: int,
    refine: str,
    scale: str,
    flip: bool,
    size: int | None,
) -> Asked:
    """Check the options of a call.

    Raises:
        ConfigError: No classes, too many kinds of them, or an option out of range.
        DataError: The class list or the background words are wrong.
    """
    from pgseg_core.inference.options import SegmentOptions, parse_scales
    from pgseg_core.text.background import load_background_words
    from pgseg_core.text.templates import load_templates

    load_templates(templates)
    options = SegmentOptions(
        background=background,
        threshold=threshold,
        background_words=background_words,
        top_k=top_k,
        refine=refine,
        scales=parse_scales(scale),
        flip=flip,
        size=size,
    )
    load_background_words(background_words)
    for name, value in {"--threshold": threshold, "--background-words": background_words}.items():
        if value is not None and not background:
            say(f"{name} says what is background: it counts with --background only")
    vocabulary = _vocabulary(classes, vocab, suggestions is not None)
    if len(vocabulary) == 1 and not background:
        say("one class without --background covers the whole photo")
    return Asked(vocabulary, suggestions, templates, options)


def _tell_background(asked: Asked, options: "SegmentOptions") -> None:
    """Say how background is found, where the weights had a say in it or a word is left out."""
    from pgseg_core.text.background import BackgroundWords

    if not options.background:
        return
    words = BackgroundWords(tuple(options.background_words or ()))
    if asked.options.threshold is None or (words.words and asked.options.background_words is None):
        listed = f", and {len(words.words)} words for it" if words.words else ""
        say(f"background: scores below {options.threshold:g}{listed}")
    taken = words.taken(
        [*asked.vocabulary.names, *(word for own in asked.vocabulary.prompts for word in own)]
    )
    if taken and not asked.suggestions:
        say(f"no background words here, as they are classes: {', '.join(taken)}")


def _vocabulary(classes: str | None, vocab: str | None, suggest: bool) -> "Vocabulary":
    from pgseg_core.text.vocabulary import builtin_vocabulary, load_vocabulary, noun_vocabulary
    from pgseg_core.vocabularies import BUILTIN_VOCABULARIES

    if classes is not None and vocab is not None:
        raise ConfigError("-c and --vocab both name classes", hint="Keep one of them.")
    if vocab is not None:
        return builtin_vocabulary(vocab)
    if classes is not None:
        vocabulary = load_vocabulary(classes)
        near = nearest_name(classes, BUILTIN_VOCABULARIES)
        if near and len(vocabulary) == 1:
            say(f"'{classes}' is taken for a class; the built-in list is --vocab {near}")
        return vocabulary
    if suggest:
        return noun_vocabulary()
    raise ConfigError(
        "no classes named",
        hint='Name them (-c "sky,road"), take a built-in list (--vocab voc12), or let pgseg '
        "suggest some (--suggest).",
    )
