"""Class names as vectors, ready to be compared with groups."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor

from pgseg_core.inference.affinity import class_embedding
from pgseg_core.inference.encoders import Encoders
from pgseg_core.text.background import BackgroundWords
from pgseg_core.text.templates import fill_templates, load_templates
from pgseg_core.text.tokenizer import Tokenizer

BACKGROUND = "background"
PROMPTS_AT_ONCE = 256


@dataclass(frozen=True)
class ClassBank:
    """Classes ready to be compared with groups."""

    names: tuple[str, ...]
    vectors: Float[Tensor, "c e"]
    """Unit vectors."""
    wordings: tuple[tuple[str, ...], ...] = ()
    """What each class was asked for by; nothing where vectors came from elsewhere."""
    templates: str = "simple"
    """The prompt templates, in which background words are asked for too."""

    def select(self, places: Sequence[int]) -> "ClassBank":
        """Return some of the classes, in the order of their places."""
        return replace(
            self,
            names=tuple(self.names[at] for at in places),
            vectors=self.vectors[list(places)],
            wordings=tuple(self.wordings[at] for at in places) if self.wordings else (),
        )


@dataclass(frozen=True)
class BackgroundBank:
    """Background words ready to compete with classes."""

    words: BackgroundWords
    vectors: Float[Tensor, "w e"]
    """Unit vectors."""

    def beside(self, bank: ClassBank) -> "BackgroundBank":
        """Leave out the words that a class is called or asked for by."""
        kept = self.words.beside([*bank.names, *chain.from_iterable(bank.wordings)])
        places = [place for place, word in enumerate(self.words.words) if word in kept.words]
        return BackgroundBank(kept, self.vectors[places])


@torch.inference_mode()
def embed_wordings(
    encoders: Encoders,
    tokenizer: Tokenizer,
    wordings: Sequence[Sequence[str]],
    *,
    templates: str = "simple",
    unit_first: bool = False,
) -> Float[Tensor, "c e"]:
    """Embed groups of wordings, each in all templates and averaged into one unit vector (step 4).

    Args:
        encoders: The network.
        tokenizer: Prompts to the ids it reads.
        wordings: One or more names for each vector.
        templates: A set's name, or a file of templates.
        unit_first: Scale every prompt's vector to length 1 before the mean.

    Raises:
        DataError: No such templates.
    """
    sentences = load_templates(templates)
    prompts = [
        [filled for wording in group for filled in fill_templates(sentences, wording)]
        for group in wordings
    ]
    tokens = tokenizer([prompt for group in prompts for prompt in group])
    features = torch.cat([encoders.encode_prompts(part) for part in tokens.split(PROMPTS_AT_ONCE)])
    per_class = features.split([len(group) for group in prompts])
    return torch.stack([class_embedding(part, unit_first=unit_first) for part in per_class])
