"""From a batch to its losses: the only place that knows how the terms add up."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from pgseg_core.comm import Collectives
from pgseg_core.data.batch import Batch
from pgseg_core.data.transforms import normalise_batch
from pgseg_core.losses import info_nce, multi_label_nce, shared_noun_nce
from pgseg_core.model import GroupingOutput, ImageOutput, PGSeg, TextOutput
from pgseg_core.model.text_encoder import word_mask
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


@dataclass(frozen=True)
class TaskOutput:
    """What one forward pass of the task gives."""

    loss: Float[Tensor, ""]
    """This rank's total; its mean over ranks is the global batch's."""
    terms: dict[str, Float[Tensor, ""]]
    """Detached parts, by name, each before its weight; and the share of pairs that were kept."""
    bank_means: dict[str, Float[Tensor, "k d"]]
    """Estimated prototypes averaged over the global batch, by bank; for `PGSeg.move_banks`."""


@dataclass(frozen=True)
class Pairing:
    """Group tokens and prototypes compared, and being paired on the host."""

    similarity: Float[Tensor, "b g k"]
    matched: Callable[[], Int[Tensor, "b g"]]
    """Waits for the index of each group's prototype."""


@dataclass(frozen=True)
class PairedLoss:
    """L_PG of one set of group tokens and prototypes."""

    loss: Float[Tensor, ""]
    kept: Float[Tensor, ""]
    """Share of rows that hard rejection kept, both directions together."""


class TrainTask(nn.Module):
    """InfoNCE plus, with NPR, the prototype losses (method: total loss).

    total = InfoNCE [+ multi-label InfoNCE] + weight (sum of I-NPR + text_weight T-NPR)
    """

    def __init__(self, model: PGSeg, comm: Collectives) -> None:
        super().__init__()
        self.model = model
        self.comm = comm
        self.npr = model.config.npr

    def forward(self, batch: Batch) -> TaskOutput:
        """Encode the batch and add up the losses; changes nothing but BatchNorm's statistics."""
        model = self.model
        pixels = batch.images
        image = model.encode_image(
            pixels if pixels.is_floating_point() else normalise_batch(pixels)
        )
        pairings = self._pair_images(image)  # the host pairs while the captions are encoded
        text = model.encode_text(batch.tokens)
        nouns = None
        if batch.noun_tokens is not None:
            count = batch.noun_tokens.shape[1]
            flat = model.encode_text(rearrange(batch.noun_tokens, "b m t -> (b m) t")).feature
            nouns = rearrange(flat, "(b m) e -> b m e", m=count)

        with torch.autocast(batch.images.device.type, enabled=False):
            nouns = None if nouns is None else _full(nouns)
            terms = self._contrast(_full(image.feature), _full(text.feature), nouns, batch)
            total = torch.stack(list(terms.values())).sum()
            if (weight := model.config.group_contrast) > 0:
                groups = model.project_groups(_full(image.tokens))
                of_groups = self._contrast(groups, _full(text.feature), nouns, batch)
                total = total + weight * torch.stack(list(of_groups.values())).sum()
                terms |= {f"group_{name}": term for name, term in of_groups.items()}
            if not self.npr.enabled:
                return TaskOutput(total, _detached(terms), {})
            paired, estimates = self._prototype_losses(pairings, image, text, batch.tokens)

        regular = sum(p.loss for name, p in paired.items() if name != "t_npr")
        if "t_npr" in paired:
            regular = regular + self.npr.text_weight * paired["t_npr"].loss
        for name, pair in paired.items():
            terms[name] = pair.loss
            terms[f"{name}_kept"] = pair.kept
        means = {name: self.comm.mean(e.prototypes.mean(dim=0)) for name, e in estimates.items()}
        return TaskOutput(total + self.npr.weight * regular, _detached(terms), means)

    def _contrast(
        self,
        image: Float[Tensor, "b *g e"],
        text: Float[Tensor, "b e"],
        nouns: Float[Tensor, "b m e"] | None,
        batch: Batch,
    ) -> dict[str, Float[Tensor, ""]]:
        """Contrast images, or their groups, with captions and with prompts of nouns."""
        scale = self.model.scale()
        terms = {"info_nce": info_nce(image, text, scale, self.comm)}
        if nouns is None:
            return terms
        if self.model.config.shared_nouns:
            assert batch.noun_ids is not None
            assert batch.image_nouns is not None
            terms["shared_nouns"] = shared_noun_nce(
                image,
                nouns,
                noun_ids=batch.noun_ids,
                image_nouns=batch.image_nouns,
                scale=scale,
                comm=self.comm,
            )
        else:
            terms["multi_label"] = multi_label_nce(image, nouns, scale, self.comm)
        return terms

    def _pair_images(self, image: ImageOutput) -> dict[str, Pairing]:
        """Begin to pair each stage's group tokens with its prototypes, by loss term (I-NPR)."""
        chosen = self.npr.image_stages
        with torch.autocast(image.feature.device.type, enabled=False):
            return {
                f"i_npr_{index + 1}": self._pair(_full(stage.queries), stage.estimate.prototypes)
                for index, stage in enumerate(image.stages)
                if stage.estimate is not None and (chosen == "all" or index in chosen)
            }

    def _prototype_losses(
        self,
        pairings: dict[str, Pairing],
        image: ImageOutput,
        text: TextOutput,
        tokens: Int[Tensor, "b t"],
    ) -> tuple[dict[str, PairedLoss], dict[str, PrototypeEstimate]]:
        """Return the losses by term and the estimates by bank."""
        estimates: dict[str, PrototypeEstimate] = {}
        if self.npr.variant == "paper":  # the released code never moves its image banks
            for index, stage in enumerate(image.stages):
                if stage.estimate is not None:
                    estimates[f"image.{index}"] = stage.estimate
        if self.npr.text_source != "none":
            groups, estimate = self._text_prototypes(image, text, tokens)
            estimates["text"] = estimate
            prototypes = estimate.prototypes.expand(len(groups), -1, -1)
            pairings = {**pairings, "t_npr": self._pair(groups, prototypes)}
        return {name: self._paired_loss(pair) for name, pair in pairings.items()}, estimates

    def _text_prototypes(
        self, image: ImageOutput, text: TextOutput, tokens: Int[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b g e"], PrototypeEstimate]:
        """Return the group tokens that T-NPR compares, and the text's prototypes.

        `words` and `batch` work in the joint space. Their sources are given the length that
        LayerNorm gives an image's tokens, sqrt(e), without which the softmax of the E-step is
        flat and all prototypes fall together.
        """
        bank, npr = self.model.text_bank, self.npr
        assert bank is not None
        if npr.text_source == "channels":
            last: GroupingOutput = image.stages[-1]
            groups = _full(last.queries).mean(dim=-1, keepdim=True)  # (b, g, 1)
            source = _full(text.pooled)[..., None]  # (b, w, 1)
            estimate = estimate_prototypes(source, bank, iterations=npr.iterations, norm_dim=1)
            return groups, estimate
        groups = self.model.project_groups(_full(image.tokens))
        if npr.text_source == "words":
            words = self.model.text_projector.as_at_test(_full(text.words).detach())
            mask = word_mask(tokens)[:, : words.shape[1]]
            source = words
        else:
            source = self.comm.all_gather(_full(text.feature).detach())[None]  # (1, B, e)
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
        return PairedLoss(loss, torch.stack(kept).float().mean())


def _full(tensor: Tensor) -> Tensor:
    """Leave half precision for the losses' arithmetic; keep double as it is."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _detached(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: term.detach() for name, term in terms.items()}
