"""Which of many classes a photo may show, for who does not want to name them."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from pgseg_core.inference.classes import ClassBank
from pgseg_core.inference.windows import GroupField
from pgseg_core.text.nouns import noun_lexicon
from pgseg_core.text.vocabulary import ClassName, Vocabulary

SUGGESTED = 6
"""How many classes are used unless said otherwise."""
_ALIKE = 0.9
"""Cosine above which two classes are said to be one and the same by this model."""


def large_vocabulary() -> Vocabulary:
    """Return the nouns that pgseg knows: some two thousand things and places in photos."""
    nouns = sorted(noun_lexicon())
    return Vocabulary(tuple(ClassName(noun, (noun,)) for noun in nouns))


@dataclass(frozen=True)
class Suggester:
    """Takes the best few of many classes for each photo: a `Chooser` of the segmenter."""

    bank: ClassBank
    """The many."""
    count: int = SUGGESTED

    def __call__(self, field: GroupField) -> ClassBank:
        """Return the classes that fit a photo best, the best first.

        A class that the model hardly tells from a better one is passed over.
        """
        chosen: list[int] = []
        for candidate in self.rank(field).tolist():
            vector = self.bank.vectors[candidate]
            if all(float(vector @ self.bank.vectors[other]) < _ALIKE for other in chosen):
                chosen.append(candidate)
            if len(chosen) == self.count:
                break
        return self.bank.select(chosen)

    def rank(self, field: GroupField) -> Int[Tensor, " c"]:
        """Order the classes by how well they fit a photo, the best first.

        Half by the photo as a whole, half by the group that fits best: a thing may be small.
        """
        vectors = self.bank.vectors
        whole = (F.normalize(field.images, dim=-1) @ vectors.mT).amax(dim=0)  # (c)
        parts = (F.normalize(field.groups, dim=-1) @ vectors.mT).flatten(0, 1).amax(dim=0)  # (c)
        return (_standard(whole) + _standard(parts)).argsort(descending=True, stable=True)


def _standard(values: Float[Tensor, " c"]) -> Float[Tensor, " c"]:
    return (values - values.mean()) / values.std(unbiased=False).clamp(min=1e-6)
