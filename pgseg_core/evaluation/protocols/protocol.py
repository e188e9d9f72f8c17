"""What a protocol fixes, and how it is read from its file by name."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter

from pgseg_core.errors import ConfigError, did_you_mean

_STRICT = ConfigDict(extra="forbid")
_FILES = resources.files("pgseg_core.evaluation.protocols")

DEFAULT_SYSTEM = "pgseg"
"""Whose thresholds are taken where the protocol has several and nobody is named."""

Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True)
class SystemRules:
    """What one published system chose for one set."""

    __pydantic_config__ = _STRICT

    threshold: Annotated[float, Field(ge=0, le=1)]
    """Background threshold, on the best class probability."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Class names of the set, and what the system's prompts say instead."""

    def rename(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """Return the names that go into prompts, in the same order."""
        return tuple(self.renamed.get(name, name) for name in class_names)


@dataclass(frozen=True, kw_only=True)
class SetRules:
    """What the protocol fixes for one set."""

    __pydantic_config__ = _STRICT

    title: str
    """The set's name in tables."""
    split: str
    """The part that is evaluated."""
    num_images: Count
    """Images of that part. A number on fewer is not the set's number."""
    num_classes: Count
    """Classes, background included (c)."""
    unlabelled: Literal["ignore", "background"]
    """What pixels without ground truth are: not counted, or background."""
    systems: Mapping[str, SystemRules] = field(default_factory=dict)
    """Choices that differ between published systems, by the system's name."""
    logit_scale: Annotated[float, Field(gt=0)] | None = None
    """Factor of the cosines on this set instead of the protocol's."""
    vocabulary: str | None = None
    """The list of wordings asked for instead of the set's own names."""

    def system(self, name: str) -> SystemRules:
        """Return one system's choices.

        Raises:
            ConfigError: The protocol knows no such system on this set.
        """
        if name not in self.systems:
            raise _unknown(f"no thresholds of '{name}' on {self.title}", name, self.systems)
        return self.systems[name]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything besides the weights that a zero-shot segmentation number depends on."""

    __pydantic_config__ = _STRICT

    id: str
    """The name that every report carries."""
    source: str
    """Where the facts come from."""
    short_side: Count
    """Images are resized, keeping their ratio, to this short side in pixels."""
    long_side: Count
    """... unless the long side would then exceed this many."""
    window: Count
    """Side of the sliding window, in pixels."""
    stride: Count
    """Step of the sliding window, in pixels."""
    normalise: Literal["imagenet", "clip"]
    """Whose mean and deviation of the colours are taken."""
    templates: str
    """Name of the prompt template set."""
    unit_prompts: bool
    """Whether each prompt's vector is scaled to length 1 before the mean over templates."""
    names: Literal["wordings", "dataset"]
    """What stands in prompts of sets without a rule: the wordings of the class file, or the data
    set's own names."""
    scores: Literal["product", "softmax", "pixel_softmax"]
    """`product`: softmax over all classes times softmax over the image's top_k, for each group.
    `softmax`: the first of them alone. `pixel_softmax`: cosines averaged over windows, then for
    each pixel softmax over all wordings and the largest of a class's wordings."""
    top_k: Count | None
    """Classes kept for an image, ranked by the image's own feature; None where none is left out."""
    logit_scale: Annotated[float, Field(gt=0)] | None
    """Factor of the cosines; None is the model's own."""
    background: Literal["capped_threshold", "constant_score", "probability"]
    """Which pixels become background in sets that have it. `capped_threshold`: groups whose best
    score is below min(threshold, the window's best). `constant_score`: pixels whose best score is
    at most the threshold. `probability`: pixels whose best class, stuff words of the background
    among them, has a probability below the threshold."""
    threshold: Annotated[float, Field(ge=0, le=1)]
    """Background threshold where the set's rules have none."""
    refined_threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """The same for masks refined by PAMR; None where refinement changes nothing about it."""
    datasets: Mapping[str, SetRules]
    """Rules of each set, by the set's name."""

    def dataset(self, name: str) -> SetRules:
        """Return the rules of one set.

        Raises:
            ConfigError: The protocol says nothing about this set.
        """
        if name not in self.datasets:
            raise _unknown(f"protocol {self.id} says nothing about '{name}'", name, self.datasets)
        return self.datasets[name]

    def rules(
        self, dataset: str, system: str | None
    ) -> tuple[float, Mapping[str, str], str | None]:
        """Return (threshold, renamed classes, vocabulary) for a set; defaults for an unknown one.

        Args:
            dataset: The set's name.
            system: Whose choices, where the protocol has several; PGSeg's when None.

        Raises:
            ConfigError: A system was named that the protocol does not know.
        """
        known = self.datasets.get(dataset)
        if system is not None:
            systems = {name for rules in self.datasets.values() for name in rules.systems}
            if system not in systems:
                raise _unknown(f"protocol {self.id} has no system '{system}'", system, systems)
        if known is None or not known.systems:
            return self.threshold, {}, None if known is None else known.vocabulary
        chosen = known.system(system or DEFAULT_SYSTEM)
        return chosen.threshold, chosen.renamed, known.vocabulary

    def scale(self, dataset: str) -> float | None:
        """Return the factor of the cosines on a set; None for the model's own."""
        known = self.datasets.get(dataset)
        return self.logit_scale if known is None else known.logit_scale or self.logit_scale


def protocol_names() -> list[str]:
    """Return the names of the protocols that come with pgseg, sorted."""
    return sorted(Path(file.name).stem for file in _FILES.iterdir() if file.name.endswith(".yaml"))


def load_protocol(name: str) -> Protocol:
    """Read a protocol by its name.

    Raises:
        ConfigError: There is no protocol of this name.
    """
    names = protocol_names()
    if name not in names:
        raise _unknown(f"no protocol called '{name}'", name, names)
    values = yaml.safe_load((_FILES / f"{name}.yaml").read_text("utf-8"))
    return TypeAdapter(Protocol).validate_python(values)


def class_list_hash(class_names: Sequence[str], prompts: Sequence[Sequence[str]]) -> str:
    """Name a class list by what it says: equal hashes mean equal names and prompts in one order.

    Args:
        class_names: Names in the order of the mask's labels.
        prompts: For each class, the texts that stand for it; none for a background without prompt.

    Returns:
        The first 12 hexadecimal digits of a SHA-256, the same on every machine.
    """
    pairs = [[name, list(texts)] for name, texts in zip(class_names, prompts, strict=True)]
    text = json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]


def _unknown(sentence: str, name: str, known: Iterable[str]) -> ConfigError:
    return ConfigError(sentence, hint=did_you_mean(name, sorted(known), what="Known"))
