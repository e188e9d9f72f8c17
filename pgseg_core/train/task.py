"""From a batch to its losses: the only place that knows how the terms add up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from pgseg_core.comm import Collectives
from pgseg_core.data.batch import Batch
from pgseg_core.data.transforms import normalise_batch
from pgseg_core.losses import info_nce, multi_label_nce, shared_noun_nce
from pgseg_core.networks.blocks.text_encoder import Layout, word_mask
from pgseg_core.networks.grouping import PGSeg
from pgseg_core.networks.grouping.image_encoder import EncodedImage
from pgseg_core.npr import (
    PrototypeEstimate,
    cosine_similarity,
    estimate_prototypes,
    group_prototype_loss,
    match_greedily,
    match_in_order,
    reliable_pairs,
    start_match,
    take_matched,
)
from pgseg_core.train.encoded import Encoded, ImageTokens
from pgseg_core.train.teacher import NameTeacher, TaughtNames, taught_names_loss


@dataclass(frozen=True)
class TaskOutput:
    """What one forward pass of the task gives."""

    loss: Float[Tensor, ""]
    """This rank's total; its mean over ranks is the global batch's."""
    terms: dict[str, Float[Tensor, ""]]
    """Detached parts, by name, each before its weight; with NPR also `*_kept`, the share of pairs
    that hard rejection kept, and `*_pairs`, their number in the global batch; where asked for
    `grad_*`, the norm of each weighted term's gradient at what the encoders hand over."""
    bank_means: dict[str, Float[Tensor, "k d"]]
    """Estimated prototypes averaged over the global batch, by bank; for `PGSeg.move_banks`."""


@dataclass(frozen=True)
class PairedLoss:
    """L_PG of one set of group tokens and prototypes."""

    loss: Float[Tensor, ""]
    kept: Float[Tensor, ""]
    """Share of rows that hard rejection kept, both directions together."""
    pairs: Float[Tensor, ""]
    """Number of those rows on this rank."""


@dataclass(frozen=True)
class Pairing:
    """Group tokens and prototypes compared, and being paired on the host."""

    similarity: Float[Tensor, "b g k"]
    matched: Callable[[], Int[Tensor, "b g"]]
    """Waits for the index of each group's prototype."""


class TrainTask(nn.Module):
    """InfoNCE plus, with NPR, the prototype losses (method: total loss).

    total = InfoNCE [+ multi-label InfoNCE] + weight (sum of I-NPR + text_weight T-NPR)

    Beside them `group_contrast`, `patch_contrast` and `stem_names` weigh terms that the paper does
    not have.
    """

    def __init__(self, model: PGSeg, comm: Collectives, teacher: NameTeacher | None = None) -> None:
        super().__init__()
        self.model = model
        self.comm = comm
        self.npr = model.config.npr
        self.teacher = teacher

    def forward(self, given: Batch | Encoded, *, measure: bool = False) -> TaskOutput:
        """Add up the losses of a batch; changes nothing but BatchNorm's statistics.

        The host pairs the images' groups while captions are encoded, and the captions' while nouns
        are encoded and contrasts taken.

        Args:
            given: A batch, or what the encoders have already made of one.
            measure: Also measure each term's gradient.
        """
        model = self.model
        if isinstance(given, Batch):
            captions = model.text_encoder.layout(given.tokens)
            seen = self.encode_images(given)
            pairings = self._pair_images(seen)
            encoded = self._with_captions(seen, given, captions)
        else:
            encoded = given
            pairings = self._pair_images(given)
        image = model.image_projector(encoded.groups.mean(dim=1))
        text = model.text_projector(encoded.caption)
        estimates: dict[str, Tensor] = {}
        if self.npr.enabled:
            pairings, estimates = self._pair_captions(pairings, encoded, text)
        if isinstance(given, Batch):
            encoded = self._with_nouns(encoded, given)
        nouns = None
        if encoded.nouns is not None:
            flat = model.text_projector(rearrange(encoded.nouns, "b m w -> (b m) w"))
            nouns = _full(rearrange(flat, "(b m) e -> b m e", b=len(text)))

        with torch.autocast(encoded.groups.device.type, enabled=False):
            terms = self._contrast(_full(image), _full(text), nouns, encoded)
            weighted = dict(terms)
            for part, weight, vectors in self._parts_of_images(encoded):
                for name, term in self._contrast(vectors, _full(text), nouns, encoded).items():
                    terms[f"{part}_{name}"] = term
                    weighted[f"{part}_{name}"] = weight * term
            if self.teacher is not None and encoded.taught is not None:
                called = model.encode_text(self.teacher.prompts).feature
                terms["stem_names"] = taught_names_loss(
                    model.project_groups(_full(encoded.groups)),
                    _full(called),
                    encoded.taught,
                    model.scale(),
                )
                weighted["stem_names"] = model.config.stem_names * terms["stem_names"]
            means = {name: self.comm.mean(e.mean(dim=0)) for name, e in estimates.items()}
            for name, pairing in pairings.items():
                pair = self._paired_loss(pairing)
                terms[name] = pair.loss
                terms[f"{name}_kept"] = pair.kept
                terms[f"{name}_pairs"] = pair.pairs * self.comm.world_size
                share = self.npr.text_weight if name == "t_npr" else 1.0
                weighted[name] = self.npr.weight * share * pair.loss
            norms = _gradient_norms(weighted, encoded) if measure else {}
            total = torch.stack(list(weighted.values())).sum()
        return TaskOutput(total, {**{n: t.detach() for n, t in terms.items()}, **norms}, means)

    def encode(self, batch: Batch) -> Encoded:
        """Encode a whole batch, image by image and text by text."""
        captions = self.model.text_encoder.layout(batch.tokens)
        encoded = self._with_captions(self.encode_images(batch), batch, captions)
        return self._with_nouns(encoded, batch)

    def encode_images(self, batch: Batch) -> ImageTokens:
        """Encode the images."""
        pixels = batch.images
        image = self.model.image_encoder(
            pixels if pixels.is_floating_point() else normalise_batch(pixels)
        )
        # Views: at them a loss's gradient ends where it enters, though groups are made of both.
        return ImageTokens(
            groups=image.tokens,
            queries=tuple(stage.queries.view_as(stage.queries) for stage in image.stages),
            prototypes=tuple(
                None if stage.estimate is None else stage.estimate.prototypes
                for stage in image.stages
            ),
            patches=self._contrasted(image.stages[0].patches),
            taught=self._teach(image),
        )

    def _contrasted(self, patches: Float[Tensor, "b n d"]) -> Float[Tensor, "b _ d"] | None:
        """Draw the patches that are contrasted one by one, in training; None where none are."""
        config = self.model.config
        if config.patch_contrast == 0:
            return None
        count = config.num_contrasted(patches.shape[1])
        if not self.training or count == patches.shape[1]:
            return patches.view_as(patches)
        drawn = torch.rand(patches.shape[:2], device=patches.device).topk(count).indices
        return patches.take_along_dim(drawn[..., None], dim=1)

    def _teach(self, image: EncodedImage) -> TaughtNames | None:
        """Ask the teacher, if there is one, what it would call the final groups."""
        if self.teacher is None or image.features is None:
            return None
        maps = image.stages[0].hard
        for stage in image.stages[1:]:
            maps = einsum(stage.hard, maps, "b h g, b g n -> b h n")
        return self.teacher(image.features, maps, image.grid)

    def _with_captions(self, seen: ImageTokens, batch: Batch, layout: Layout) -> Encoded:
        text = self.model.text_encoder(batch.tokens, layout)
        return Encoded(
            groups=seen.groups,
            queries=seen.queries,
            prototypes=seen.prototypes,
            patches=seen.patches,
            taught=seen.taught,
            caption=text.pooled,
            words=text.words.detach(),
            tokens=batch.tokens,
        )

    def _with_nouns(self, encoded: Encoded, batch: Batch) -> Encoded:
        """Encode prompts of nouns too, if the batch has any."""
        if batch.noun_tokens is None:
            return encoded
        flat = self.model.text_encoder(rearrange(batch.noun_tokens, "b m t -> (b m) t")).pooled
        return replace(
            encoded,
            nouns=rearrange(flat, "(b m) w -> b m w", b=len(batch.noun_tokens)),
            noun_ids=batch.noun_ids,
            image_nouns=batch.image_nouns,
        )

    def _parts_of_images(
        self, encoded: Encoded
    ) -> Iterator[tuple[str, float, Float[Tensor, "b _ e"]]]:
        """Yield the parts of images that are contrasted with texts one by one, if any."""
        config = self.model.config
        if config.group_contrast > 0:
            yield "group", config.group_contrast, self.model.project_groups(_full(encoded.groups))
        if encoded.patches is not None:
            patches = self.model.project_patches(_full(encoded.patches))
            yield "patch", config.patch_contrast, patches

    def _contrast(
        self,
        image: Float[Tensor, "b *g e"],
        text: Float[Tensor, "b e"],
        nouns: Float[Tensor, "b m e"] | None,
        encoded: Encoded,
    ) -> dict[str, Float[Tensor, ""]]:
        """Contrast images, or their groups, with captions and with prompts of nouns."""
        scale = self.model.scale()
        terms = {"info_nce": info_nce(image, text, scale, self.comm)}
        if nouns is None:
            return terms
        if self.model.config.shared_nouns:
            assert encoded.noun_ids is not None
            assert encoded.image_nouns is not None
            terms["shared_nouns"] = shared_noun_nce(
                image,
                nouns,
                noun_ids=encoded.noun_ids,
                image_nouns=encoded.image_nouns,
                scale=scale,
                comm=self.comm,
            )
        else:
            terms["multi_label"] = multi_label_nce(image, nouns, scale, self.comm)
        return terms

    def _pair_images(self, seen: ImageTokens) -> dict[str, Pairing]:
        """Begin to pair each stage's group tokens with its prototypes, by loss term (I-NPR)."""
        chosen = self.npr.image_stages
        with torch.autocast(seen.groups.device.type, enabled=False):
            return {
                f"i_npr_{index + 1}": self._pair(_full(queries), estimated)
                for index, (queries, estimated) in enumerate(
                    zip(seen.queries, seen.prototypes, strict=True)
                )
                if estimated is not None and (chosen == "all" or index in chosen)
            }

    def _pair_captions(
        self, pairings: dict[str, Pairing], encoded: Encoded, text: Float[Tensor, "b e"]
    ) -> tuple[dict[str, Pairing], dict[str, Float[Tensor, "_ k d"]]]:
        """Add what pairs groups with captions (T-NPR); also return the estimates by bank."""
        estimates: dict[str, Tensor] = {}
        if self.npr.variant == "paper":  # the released code never moves its image banks
            for index, estimated in enumerate(encoded.prototypes):
                if estimated is not None:
                    estimates[f"image.{index}"] = estimated
        if self.npr.text_source != "none":
            with torch.autocast(encoded.groups.device.type, enabled=False):
                groups, estimate = self._text_prototypes(encoded, text)
                estimates["text"] = estimate.prototypes
                prototypes = estimate.prototypes.expand(len(groups), -1, -1)
                pairings = {**pairings, "t_npr": self._pair(groups, prototypes)}
        return pairings, estimates

    def _text_prototypes(
        self, encoded: Encoded, text: Float[Tensor, "b e"]
    ) -> tuple[Float[Tensor, "b g _"], PrototypeEstimate]:
        """Return the group tokens that T-NPR compares, and the text's prototypes.

        `words` and `batch` work in the joint space. Their sources are given the length that
        LayerNorm gives an image's tokens, sqrt(e), without which the softmax of the E-step is
        flat and all prototypes fall together.
        """
        bank, npr = self.model.text_bank, self.npr
        assert bank is not None
        if npr.text_source == "channels":
            groups = _full(encoded.queries[-1]).mean(dim=-1, keepdim=True)  # (b, g, 1)
            source = _full(encoded.caption)[..., None]  # (b, w, 1)
            estimate = estimate_prototypes(source, bank, iterations=npr.iterations, norm_dim=1)
            return groups, estimate
        groups = self.model.project_groups(_full(encoded.groups))
        if npr.text_source == "words":
            with torch.no_grad():  # EM goes no further back
                words = self.model.text_projector.as_at_test(_full(encoded.words))
            mask = word_mask(encoded.tokens)[:, : words.shape[1]]
            source = words
        else:
            source = self.comm.all_gather(_full(text).detach())[None]  # (1, B, e)
            mask = None
        source = F.normalize(source, dim=-1) * source.shape[-1] ** 0.5
        return groups, estimate_prototypes(source, bank, iterations=npr.iterations, mask=mask)

    def _pair(self, groups: Float[Tensor, "b g d"], prototypes: Float[Tensor, "b k d"]) -> Pairing:
        """Compare, and begin to match (Algorithm 1, step 3)."""
        similarity = cosine_similarity(groups, prototypes)
        maximise = self.npr.variant == "paper"
        if self.npr.matching == "hungarian":
            return Pairing(similarity, start_match(similarity, maximise=maximise))
        if self.npr.matching == "greedy":
            return Pairing(similarity, lambda: match_greedily(similarity, maximise=maximise))
        return Pairing(similarity, lambda: match_in_order(similarity))

    def _paired_loss(self, pairing: Pairing) -> PairedLoss:
        """Take the pairs, reject, contrast (Algorithm 1, steps 4 and 5)."""
        similarity = take_matched(pairing.similarity, pairing.matched())
        kept = reliable_pairs(similarity, threshold=self.npr.threshold, variant=self.npr.variant)
        scale = self.model.prototype_scale()
        loss = group_prototype_loss(similarity, scale, kept, self.comm)
        rows = torch.stack(kept).float()
        return PairedLoss(loss, rows.mean(), rows.sum())


def _gradient_norms(weighted: dict[str, Tensor], encoded: Encoded) -> dict[str, Tensor]:
    """Norm of each term's gradient at the encoders' output: the head's backward pass, no more."""
    places = [tensor for tensor in encoded.differentiable() if tensor.requires_grad]
    norms = {}
    for name, term in weighted.items():
        parts = torch.autograd.grad(term, places, retain_graph=True, allow_unused=True)
        squares = [part.float().square().sum() for part in parts if part is not None]
        norms[f"grad_{name}"] = torch.stack(squares).sum().sqrt() if squares else term.new_zeros(())
    return norms


def _full(tensor: Tensor) -> Tensor:
    """Leave half precision for the losses' arithmetic; keep double as it is."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
