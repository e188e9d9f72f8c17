"""Why a class won or lost in a photo: rank, best region, threshold; and what could be changed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from pgseg_core.arrays import NUMPY, arrays_of
from pgseg_core.inference.class_bank import BackgroundBank, make_queries
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.inference.scoring import region_scores, window_fit
from pgseg_core.inference.segmentation import BACKGROUND
from pgseg_core.inference.segmenter import Classes, Examined, Segmenter
from pgseg_core.methods.method import PatchGrid, Rule


@dataclass(frozen=True)
class ClassReason:
    """One class in one photo."""

    name: str
    share: float
    """Of the photo, as segmented."""
    rank: int
    """Its best place, from 1, among all that competed by how well they fit a window as a whole."""
    rivals: int
    """How many classes and background words competed, itself included."""
    windows: int
    """In how many windows it was among the best `top_k`, without which it cannot win."""
    score: float
    """Its score in the group where it is best."""
    group_share: float
    """Share of the photo that lies in this group; a patch is one where patches answer alone."""
    winner: str
    """What this group became: the class itself, another, or background."""
    winner_score: float
    """Score of the class that is best in this group."""
    reason: str
    """In words."""
    advice: str
    """What to type to change it; empty where it was found."""


def explain(
    segmenter: Segmenter, photo: Image.Image, classes: Classes, options: SegmentOptions
) -> list[ClassReason]:
    """Return each class's reason, in the order of the classes; the photo is encoded once.

    Scores are those of the photo's reading nearest to scale 1, not mirrored.

    Args:
        segmenter: The model.
        photo: RGB.
        classes: The classes, or what chooses them.
        options: How they are asked for.
    """
    options = segmenter.settled(options)
    (examined,) = segmenter.examine([photo], classes, options)
    bank = examined.bank
    words = segmenter.embed_background(options.background_words, templates=bank.templates)
    background = None if words is None else words.beside(bank)
    scale, rule = segmenter.method.scale(), segmenter.reading.rule
    return explain_field(
        examined, background, scale=rule.scale or scale, rule=rule, options=options
    )


def explain_field(
    examined: Examined,
    background: BackgroundBank | None,
    *,
    scale: float,
    rule: Rule,
    options: SegmentOptions,
) -> list[ClassReason]:
    """Return each class's reason (see `explain`).

    Args:
        examined: The photo, labelled, with what the method saw of it.
        background: Words that compete with the classes.
        scale: Factor of the cosines.
        rule: How they became labels.
        options: How the classes were asked for, settled.
    """
    field, bank = examined.field, examined.bank
    queries = make_queries(bank, background, has_background=False)
    words = len(queries.classes) - len(bank.classes)
    names = [
        *(background.words.words if background is not None else ()),
        *(bank.names[owner] for owner in bank.classes),
    ]
    numbers = arrays_of(field.vectors).numpy
    vectors, asked = numbers(field.vectors), numbers(queries.vectors)
    windows = None if field.windows is None else numbers(field.windows)
    cosines = NUMPY.unit(vectors) @ NUMPY.unit(asked).T  # (n, r, q)
    fit = window_fit(cosines, windows, asked, rule)
    ranks = (-fit).argsort(axis=-1, kind="stable").argsort(axis=-1) + 1
    scores = region_scores(vectors, windows, asked, scale, replace(rule, top_k=options.top_k))
    if rule.scores == "pixel_softmax":
        scores = NUMPY.softmax(scale * scores, -1)
    sizes = numbers(field.maps).mean(axis=(1, 2)).reshape(scores.shape[:2])  # (n, r)
    limits = _limits(scores, rule, options)
    shown = np.where((sizes == 0)[..., None], np.float32(-1), scores)
    grid = isinstance(field.place, PatchGrid)
    part = "patch" if grid else "group"
    shares = dict(zip(examined.segmentation.names, examined.segmentation.shares, strict=True))
    reasons = []
    for place, name in enumerate(bank.names):
        own = [words + query for query, owner in enumerate(bank.classes) if owner == place]
        best = shown[..., own].max(axis=-1)
        window, region = divmod(int(best.argmax()), scores.shape[1])
        winner = int(scores[window, region].argmax())
        winner_score = float(scores[window, region, winner])
        below = winner_score < limits[window]
        rank = ranks[:, own].min(axis=-1)
        seen = _Seen(
            name=name,
            share=shares[name],
            rank=int(rank.min()),
            rivals=len(names),
            windows=int((rank <= options.top_k).sum()) if rule.scores == "product" else len(rank),
            score=float(scores[window, region, own].max()),
            group_share=float(sizes[window, region]),
            winner=BACKGROUND if below or winner < words else names[winner],
            winner_score=winner_score,
        )
        whole = "for the photo as a whole" if rule.top_k_by == "image" else f"by its best {part}"
        reason, advice = _words(
            seen, options, part=part, whole=whole, rival=names[winner], is_word=winner < words
        )
        reasons.append(ClassReason(**vars(seen), reason=reason, advice=advice))
    return reasons


def _limits(scores: np.ndarray, rule: Rule, options: SegmentOptions) -> Sequence[float]:
    """Return below which score each window's regions are background."""
    threshold = options.threshold or 0.0
    if rule.background != "capped_threshold":
        return [threshold] * len(scores)
    return [min(float(window.max()), threshold) for window in scores]


@dataclass(frozen=True)
class _Seen:
    """The numbers of a `ClassReason`."""

    name: str
    share: float
    rank: int
    rivals: int
    windows: int
    score: float
    group_share: float
    winner: str
    winner_score: float


def _words(
    seen: _Seen, options: SegmentOptions, *, part: str, whole: str, rival: str, is_word: bool
) -> tuple[str, str]:
    """Return reason and advice.

    Args:
        seen: The class's numbers.
        options: How they were asked for.
        part: What answers: a group, or a patch by itself.
        whole: What classes were ranked by.
        rival: Class or word that is best in the group where this class is best.
        is_word: Whether that is a background word.
    """
    share = f"{seen.group_share:.1%}" if seen.group_share >= 0.0005 else "less than 0.1%"
    if seen.share > 0:
        return f"found, best in a {part} of {share} of the photo", ""
    if seen.windows == 0:
        return (
            f"place {seen.rank} of {seen.rivals} {whole}, and only the best "
            f"{options.top_k} may be found",
            f"--top-k {seen.rank}, or fewer classes",
        )
    if is_word:
        return (
            f"its best {part} ({share} of the photo) is rather {rival}, which is "
            f"background here: {seen.winner_score:.2f} against {seen.score:.2f}",
            f"--background-words without {rival}, or none",
        )
    if rival != seen.name:
        return (
            f"its best {part} ({share} of the photo) is rather {rival}: "
            f"{seen.winner_score:.2f} against {seen.score:.2f}",
            f"without {rival}, or with more wordings for {seen.name} in a file (-c @classes.txt)",
        )
    if seen.winner == BACKGROUND:
        lower = max(0.0, int(seen.score * 100 - 1) / 100)
        return (
            f"the best class of its {part}, but {seen.score:.2f} is below the threshold "
            f"{options.threshold:g}",
            f"--threshold {lower:g}, or --no-background",
        )
    return (
        f"best in a {part} that holds {share} of the photo, where other windows or "
        "refinement saw something else",
        "--size with a larger number, or --refine none",
    )
