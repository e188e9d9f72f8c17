"""The equations in plain PyTorch, without any of our optimisations: the yardstick.

Attention maps are multiplied out, captions are padded to the context length, the Hungarian method
is called image by image, a window is encoded once for its groups and once for their maps, and the
scores of every class exist at every pixel. The weights are those of a `PGSeg`; the results are
too (test_yardstick.py).
"""

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pgseg_core.data.batch import Batch
from pgseg_core.networks.blocks.layers import Block, CrossAttention, Mlp
from pgseg_core.networks.grouping import PGSeg
from pgseg_core.networks.grouping.grouping import GroupingBlock
from pgseg_core.networks.grouping.image_encoder import Stage

EPSILON = 1e-6


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """(b, t, d) each, to (b, t, d); the maps exist."""
    batch, _, width = query.shape
    query, key, value = (
        x.reshape(batch, -1, heads, width // heads).transpose(1, 2) for x in (query, key, value)
    )
    maps = query @ key.transpose(2, 3) * (width // heads) ** -0.5
    if mask is not None:
        maps = maps + mask
    mixed = maps.softmax(dim=-1) @ value
    return mixed.transpose(1, 2).reshape(batch, -1, width)


def dropped(x: Tensor, rate: float, training: bool) -> Tensor:
    if rate == 0 or not training:
        return x
    return x / (1 - rate) * (torch.rand(len(x), 1, 1) < 1 - rate)


def mlp(part: Mlp, x: Tensor) -> Tensor:
    return part.fc2(part.activation(part.fc1(x)))


def block(part: Block, x: Tensor, mask: Tensor | None = None) -> Tensor:
    query, key, value = part.attn.qkv(part.norm1(x)).chunk(3, dim=-1)
    mixed = part.attn.proj(attention(query, key, value, part.attn.num_heads, mask))
    x = x + dropped(mixed, part.drop_path_rate, part.training)
    return x + dropped(mlp(part.mlp, part.norm2(x)), part.drop_path_rate, part.training)


def cross(part: CrossAttention, query: Tensor, tokens: Tensor) -> Tensor:
    mixed = attention(
        part.q_proj(query), part.k_proj(tokens), part.v_proj(tokens), part.num_heads, None
    )
    return part.proj(mixed)


def prototypes(source: Tensor, bank: Tensor, iterations: int, mask: Tensor | None = None):
    """EM as written: prototypes (b, k, d) and responsibilities over their sums (b, n, k)."""
    with torch.no_grad():
        found = bank.expand(len(source), -1, -1)
        for _ in range(iterations):
            share = torch.einsum("bnd,bkd->bnk", source, found).softmax(dim=2)
            if mask is not None:
                share = share * mask[:, :, None]
            share = share / (share.sum(dim=1, keepdim=True) + EPSILON)
            found = torch.einsum("bnk,bnd->bkd", share, source)
            found = found / (found.norm(dim=2, keepdim=True) + EPSILON)
    return found, share


def group(part: GroupingBlock, patches: Tensor, tokens: Tensor):
    tokens = part.norm_mixed(mlp(part.mix_tokens, part.norm_tokens(tokens).mT).mT)
    patches = part.norm_patches(patches)
    queries = tokens + cross(part.pre_assign.attn, tokens, patches)
    queries = queries + mlp(part.pre_assign.mlp, part.pre_assign.norm2(queries))
    queries = part.pre_assign.norm_post(queries)
    assign = part.assign
    logits = assign.q_proj(queries) @ assign.k_proj(patches).mT * assign.scale
    soft = choice = logits.softmax(dim=1)
    if part.training:
        noise = -torch.empty_like(logits).exponential_().log()
        choice = ((logits + noise) / assign.gumbel_temperature).softmax(dim=1)
    hard = F.one_hot(choice.argmax(dim=1), choice.shape[1]).mT.to(choice)
    hard = hard + choice - choice.detach()
    weight = hard / (hard.sum(dim=2, keepdim=True) + 1)
    groups = queries + assign.proj(weight @ assign.v_proj(patches))
    return groups + mlp(part.mlp_out, part.norm_out(groups)), queries, soft


def stage(part: Stage, tokens: Tensor, carried: Tensor | None):
    found = None
    if part.prototypes is not None:
        found, share = prototypes(tokens.detach(), part.prototypes.bank, part.prototypes.iterations)
    own = part.group_tokens.expand(len(tokens), -1, -1)
    if part.carry is not None and carried is not None:
        own = own + mlp(part.carry.mix, part.carry.norm(carried).mT).mT
    together = torch.cat([tokens, own], dim=1)
    for each in part.blocks:
        together = block(each, together)
    tokens, own = together[:, : tokens.shape[1]], together[:, tokens.shape[1] :]
    if part.prototypes is not None and part.prototypes.reconstruct is not None:
        tokens = tokens + part.prototypes.reconstruct(torch.einsum("bnk,bkd->bnd", share, found))
    groups, queries, soft = group(part.grouping, tokens, own)
    return groups, own, queries, soft, found


def encode_image(model: PGSeg, images: Tensor):
    """Final tokens, and of each stage: queries, soft map, prototypes."""
    encoder = model.image_encoder
    stem = encoder.stem(images)
    tokens, grid = stem.tokens, stem.grid
    tokens, carried, stages = tokens + encoder.position(grid), None, []
    for part in encoder.stages:
        tokens, carried, *seen = stage(part, tokens, carried)
        stages.append(seen)
    for each in encoder.final_blocks:
        tokens = block(each, tokens)
    return encoder.norm(tokens), stages, grid


def encode_text(model: PGSeg, tokens: Tensor):
    """Caption vectors, and the features of all 77 tokens."""
    encoder = model.text_encoder
    length = tokens.shape[1]
    mask = torch.full((length, length), -torch.inf).triu(1)
    x = encoder.token(tokens) + encoder.position[:length]
    for each in encoder.blocks:
        x = block(each, x, mask)
    words = encoder.norm(x)
    return model.text_projector(words[torch.arange(len(words)), tokens.argmax(dim=1)]), words


def info_nce(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    logits = scale * F.normalize(image, dim=1) @ F.normalize(text, dim=1).T
    target = torch.arange(len(image))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def matched(groups: Tensor, found: Tensor) -> Tensor:
    """P^h: one call of the Hungarian method for each image."""
    rows = []
    for own, prototype in zip(groups, found, strict=True):
        similarity = F.normalize(own, dim=1) @ F.normalize(prototype, dim=1).T
        pick = linear_sum_assignment(similarity.detach().cpu().numpy(), maximize=True)[1]
        rows.append(prototype[torch.as_tensor(pick)])
    return torch.stack(rows)


def prototype_loss(groups: Tensor, found: Tensor, scale: Tensor, threshold: float) -> Tensor:
    """L_PG, after matching and hard rejection."""
    partner = matched(groups, found)
    similarity = F.normalize(groups, dim=2) @ F.normalize(partner, dim=2).mT
    total = groups.new_zeros(())
    for rows in (similarity, similarity.mT):
        low, high = rows.amin(2, keepdim=True), rows.amax(2, keepdim=True)
        scaled = ((rows - low) / (high - low + EPSILON)).detach()
        kept = scaled.diagonal(dim1=1, dim2=2) > threshold
        own = -(scale * rows).log_softmax(dim=2).diagonal(dim1=1, dim2=2)
        total = total + (own * kept).sum() / kept.sum().clamp(min=1)
    return total


def loss(model: PGSeg, batch: Batch) -> Tensor:
    """The total of `TrainTask`, for one process, captions alone, `text_source: words`."""
    npr = model.config.npr
    tokens, stages, _ = encode_image(model, batch.images)
    text, words = encode_text(model, batch.tokens)
    total = info_nce(model.image_projector(tokens.mean(dim=1)), text, model.scale())
    if not npr.enabled:
        return total
    scale = model.prototype_scale()
    regular = sum(prototype_loss(q, found, scale, npr.threshold) for q, _, found in stages)
    end = batch.tokens.argmax(dim=1, keepdim=True)
    place = torch.arange(batch.tokens.shape[1])
    mask = (place > 0) & (place < end)
    source = F.normalize(model.text_projector.as_at_test(words.detach()), dim=-1)
    source = source * source.shape[-1] ** 0.5
    found, _ = prototypes(source, model.text_bank, npr.iterations, mask)
    groups = model.project_groups(tokens)
    regular = regular + npr.text_weight * prototype_loss(groups, found, scale, npr.threshold)
    return total + npr.weight * regular


@torch.no_grad()
def segment_window(model: PGSeg, window: Tensor, prompts: Tensor, top_k: int = 5) -> Tensor:
    """Label the pixels of one window (1, 3, h, w): the protocol's steps 3 to 5, as written."""
    tokens, _, _ = encode_image(model, window)
    image = F.normalize(model.image_projector(tokens.mean(dim=1)), dim=-1)
    groups = F.normalize(model.project_groups(tokens), dim=-1)
    _, stages, grid = encode_image(model, window)
    maps = stages[0][1]
    for _, soft, _ in stages[1:]:
        maps = soft @ maps
    maps = maps.unflatten(2, grid)
    maps = F.interpolate(maps, size=window.shape[2:], mode="bilinear", align_corners=False)
    hard = F.one_hot(maps.argmax(dim=1), maps.shape[1]).permute(0, 3, 1, 2).float()
    classes = F.normalize(encode_text(model, prompts)[0], dim=-1)
    affinity = model.scale() * groups @ classes.T
    best = (image @ classes.T).topk(min(top_k, len(classes)), dim=-1).indices
    outside = torch.ones(1, len(classes), dtype=torch.bool).scatter_(1, best, value=False)
    among = affinity.masked_fill(outside[:, None], -torch.inf).softmax(dim=-1)
    scores = torch.einsum("bgc,bghw->bchw", affinity.softmax(dim=-1) * among, hard)
    return scores.argmax(dim=1)[0]
