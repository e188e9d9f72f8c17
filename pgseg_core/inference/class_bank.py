"""Classes and background words as vectors, ready to be compared with regions.

The vectors are a method's own kind of array.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from jaxtyping import Float

from pgseg_core.arrays import arrays_of
from pgseg_core.inference.scoring import Queries, class_embedding
from pgseg_core.methods.method import Array, Method
from pgseg_core.text.background import BackgroundWords
from pgseg_core.text.templates import fill_prompts, load_templates

PROMPTS_AT_ONCE = 256


@dataclass(frozen=True)
class ClassBank:
    """Classes ready to be compared with groups."""

    names: tuple[str, ...]
    vectors: Float[Array, "q e"]
    """Unit vectors of the queries: one a class, or one a synonym."""
    prompts: tuple[tuple[str, ...], ...] = ()
    """What each class was asked for by; nothing where vectors came from elsewhere."""
    templates: str = "simple"
    """The prompt templates, in which background words are asked for too."""
    owners: tuple[int, ...] = ()
    """The class that each query answers for; nothing where there is one query a class."""

    @property
    def classes(self) -> tuple[int, ...]:
        """The class that each query answers for (q)."""
        return self.owners or tuple(range(len(self.names)))

    def select(self, places: Sequence[int]) -> "ClassBank":
        """Return some of the classes, in the order of their places."""
        queries = [
            (query, place)
            for place, at in enumerate(places)
            for query, owner in enumerate(self.classes)
            if owner == at
        ]
        return replace(
            self,
            names=tuple(self.names[at] for at in places),
            vectors=self.vectors[[query for query, _ in queries]],
            prompts=tuple(self.prompts[at] for at in places) if self.prompts else (),
            owners=tuple(place for _, place in queries) if self.owners else (),
        )


@dataclass(frozen=True)
class BackgroundBank:
    """Background words ready to compete with classes."""

    words: BackgroundWords
    vectors: Float[Array, "w e"]
    """Unit vectors."""

    def beside(self, bank: ClassBank) -> "BackgroundBank":
        """Leave out the words that a class is called or asked for by."""
        kept = self.words.beside([*bank.names, *chain.from_iterable(bank.prompts)])
        places = [place for place, word in enumerate(self.words.words) if word in kept.words]
        return BackgroundBank(kept, self.vectors[places])


def make_queries(
    bank: ClassBank, background: BackgroundBank | None, *, has_background: bool
) -> Queries:
    """Return what is asked for: background words first, then the classes.

    Args:
        bank: The classes.
        background: Words that compete with them, none of which is a class.
        has_background: Whether class 0 is the background and the bank's classes begin at 1.
    """
    first = int(has_background)
    classes = tuple(first + owner for owner in bank.classes)
    vectors = bank.vectors
    if background is not None and background.words.words:
        vectors = arrays_of(vectors).concat([background.vectors, vectors], 0)
        classes = (0,) * len(background.words.words) + classes
    return Queries(vectors, classes, first + len(bank.names), has_background)


def embed_queries(
    method: Method,
    queries: Sequence[Sequence[str]],
    *,
    templates: str = "simple",
    unit_first: bool = False,
) -> Float[Array, "q e"]:
    """Embed queries, each of one or more names in all templates, into one unit vector (step 4).

    Args:
        method: What encodes prompts.
        queries: One or more names for each vector.
        templates: A set's name, or a file of templates.
        unit_first: Scale every prompt's vector to length 1 before the mean.

    Raises:
        DataError: No such templates.
    """
    prompts = fill_prompts(load_templates(templates), queries)
    every = [prompt for group in prompts for prompt in group]
    parts = [
        method.embed(every[start : start + PROMPTS_AT_ONCE])
        for start in range(0, len(every), PROMPTS_AT_ONCE)
    ]
    arrays = arrays_of(parts[0])
    features, start, vectors = arrays.concat(parts, 0), 0, []
    for group in prompts:
        own = features[start : start + len(group)]
        vectors.append(class_embedding(own, unit_first=unit_first)[None])
        start += len(group)
    return arrays.concat(vectors, 0)
