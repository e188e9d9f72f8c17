"""Why a class won or lost in a photo: rank, best group, threshold; and what could be changed."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from pgseg_core.config import Candidates
from pgseg_core.inference.class_bank import BackgroundBank, ClassBank
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.inference.score_map import GroupField, PatchPixels
from pgseg_core.inference.scoring import class_scores, window_fit
from pgseg_core.inference.segmentation import BACKGROUND
from pgseg_core.inference.segmenter import Segmenter


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
    segmenter: Segmenter, photo: Image.Image, bank: ClassBank, options: SegmentOptions
) -> list[ClassReason]:
    """Return each class's reason, in the order of the classes.

    Scores are those of the photo read once, without further scales or its mirror image.

    Args:
        segmenter: The model.
        photo: RGB.
        bank: The classes.
        options: How they are asked for.
    """
    options = options.settled(segmenter.recommended)
    (found,) = segmenter.stream([photo], bank, options)
    shares = dict(zip(found.names, found.shares, strict=True))
    field = segmenter.look(photo, options)
    words = segmenter.embed_background(options.background_words, templates=bank.templates)
    background = None if words is None else words.beside(bank)
    return explain_field(
        field,
        segmenter.encoders.scale(),
        bank,
        background,
        options=options,
        candidates=segmenter.inference.candidates,
        shares=shares,
    )


def explain_field(
    field: GroupField,
    scale: Float[Tensor, ""],
    bank: ClassBank,
    background: BackgroundBank | None,
    *,
    options: SegmentOptions,
    candidates: Candidates,
    shares: dict[str, float],
) -> list[ClassReason]:
    """Return each class's reason (see `explain`).

    Args:
        field: What the encoder saw.
        scale: 1 / temperature of the contrastive loss.
        bank: The classes.
        background: Words that compete with them.
        options: How they were asked for, settled.
        candidates: What said which classes a window may show.
        shares: What came of it: each class's share of the photo.
    """
    vectors, names = bank.vectors, bank.names
    if background is not None:
        vectors = torch.cat([vectors, background.vectors])
        names = (*names, *background.words.words)
    cosines = F.normalize(field.groups, dim=-1) @ vectors.mT  # (n, g, classes and words)
    fit = window_fit(cosines, field.images, vectors, candidates)
    ranks = fit.argsort(dim=-1, descending=True).argsort(dim=-1) + 1
    scores = class_scores(
        field.groups, field.images, vectors, scale, top_k=options.top_k, candidates=candidates
    )
    sizes = field.maps.mean(dim=(1, 2)).reshape(scores.shape[:2])  # (n, g)
    limits = scores.amax(dim=(1, 2)).clamp(max=options.threshold or 0)
    shown = scores.masked_fill((sizes == 0)[..., None], -1)
    part = "patch" if isinstance(field.pixels, PatchPixels) else "group"
    reasons = []
    for place, name in enumerate(bank.names):
        at = int(shown[..., place].argmax())
        window, group = divmod(at, scores.shape[1])
        winner = int(scores[window, group].argmax())
        winner_score = float(scores[window, group, winner])
        below = winner_score < float(limits[window])
        is_word = winner >= len(bank.names)
        seen = _Seen(
            name=name,
            share=shares[name],
            rank=int(ranks[:, place].min()),
            rivals=len(names),
            windows=int((ranks[:, place] <= options.top_k).sum()),
            score=float(scores[window, group, place]),
            group_share=float(sizes[window, group]),
            winner=BACKGROUND if below or is_word else names[winner],
            winner_score=winner_score,
        )
        whole = "for the photo as a whole" if candidates == "image" else f"by its best {part}"
        reason, advice = _words(
            seen, options, part=part, whole=whole, rival=names[winner], is_word=is_word
        )
        reasons.append(ClassReason(**vars(seen), reason=reason, advice=advice))
    return reasons


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
