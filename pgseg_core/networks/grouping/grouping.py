"""The grouping block: group tokens gather patches and become the next stage's input (GroupViT)."""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor, nn

from pgseg_core.config import ImageEncoderConfig
from pgseg_core.networks.blocks.layers import CrossAttention, Mlp
from pgseg_core.networks.grouping.outputs import GroupingOutput


def sample_gumbel(like: Float[Tensor, "b g n"]) -> Float[Tensor, "b g n"]:
    """Draw standard Gumbel noise in float32."""
    exponential = torch.empty_like(like, dtype=torch.float32).exponential_()
    return -exponential.clamp_min(torch.finfo(torch.float32).tiny).log()


def straight_through(soft: Float[Tensor, "b g n"]) -> Float[Tensor, "b g n"]:
    """One-hot of the largest group of each patch in value, the soft assignment in gradient."""
    hard = torch.zeros_like(soft).scatter_(1, soft.argmax(dim=1, keepdim=True), 1.0)
    return hard + soft - soft.detach()


class PreAssign(nn.Module):
    """Group tokens query the patches before assignment; normalised afterwards."""

    def __init__(self, width: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attn = CrossAttention(width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        self.norm_post = nn.LayerNorm(width)

    def forward(
        self, groups: Float[Tensor, "b g d"], patches: Float[Tensor, "b n d"]
    ) -> Float[Tensor, "b g d"]:
        """Return the group tokens after they have looked at the patches."""
        groups = groups + self.attn(groups, patches)
        groups = groups + self.mlp(self.norm2(groups))
        return self.norm_post(groups)


class Assign(nn.Module):
    """Give each patch to one group, and average the values of each group's patches."""

    def __init__(
        self,
        width: int,
        gumbel_temperature: float,
        scale: float,
        *,
        standardise: bool = False,
        noise: float = 1.0,
    ) -> None:
        super().__init__()
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self.scale = scale if standardise else scale * width**-0.5
        self.standardise = standardise
        self.noise = noise
        self.gumbel_temperature = gumbel_temperature

    def forward(
        self, groups: Float[Tensor, "b g d"], patches: Float[Tensor, "b n d"]
    ) -> tuple[Float[Tensor, "b g d"], Float[Tensor, "b g n"], Float[Tensor, "b g n"]]:
        """Return the averaged values, the soft assignment and the hard one.

        The softmax runs over the groups. In training the hard choice is the argmax under Gumbel
        noise, if there is any; at test it is the plain argmax. The mean is taken over one patch
        more than there are, so that a group with few patches stays small.
        """
        query, key = self.q_proj(groups), self.k_proj(patches)
        logits = einsum(query, key, "b g d, b n d -> b g n").float()
        if self.standardise:
            logits = _standardised(logits)
        logits = logits * self.scale
        soft = logits.softmax(dim=1)
        if self.training and self.noise:
            noisy = (logits + self.noise * sample_gumbel(logits)) / self.gumbel_temperature
            hard = straight_through(noisy.softmax(dim=1))
        else:
            hard = straight_through(soft)
        weight = hard / (hard.sum(dim=2, keepdim=True) + 1.0)
        value = self.v_proj(patches)
        gathered = einsum(weight.to(value.dtype), value, "b g n, b n d -> b g d")
        return self.proj(gathered), soft, hard


def _standardised(logits: Float[Tensor, "b g n"]) -> Float[Tensor, "b g n"]:
    """Give every group the mean 0 over an image's patches, and the image's logits the spread 1."""
    logits = logits - logits.mean(dim=2, keepdim=True)
    spread = logits.square().mean(dim=(1, 2), keepdim=True).sqrt()
    return logits / spread.clamp(min=1e-6)


class GroupingBlock(nn.Module):
    """Group tokens in, groups out."""

    def __init__(self, config: ImageEncoderConfig, num_groups: int) -> None:
        super().__init__()
        width = config.width
        token_hidden = int(width * config.token_mlp_ratio)
        self.residual = config.group_residual
        self.norm_tokens = nn.LayerNorm(width)
        self.mix_tokens = Mlp(num_groups, token_hidden)
        self.norm_mixed = nn.LayerNorm(width)
        self.norm_patches = nn.LayerNorm(width)
        self.pre_assign = PreAssign(width, config.num_heads, config.mlp_ratio)
        self.assign = Assign(
            width,
            config.gumbel_temperature,
            config.assign_scale,
            standardise=config.assign_standardised,
            noise=config.assign_noise,
        )
        self.norm_out = nn.LayerNorm(width)
        self.mlp_out = Mlp(width, int(width * config.mlp_ratio))

    def forward(
        self, patches: Float[Tensor, "b n d"], group_tokens: Float[Tensor, "b g d"]
    ) -> GroupingOutput:
        """Gather the patches into groups."""
        tokens = self.norm_tokens(group_tokens)
        tokens = self.norm_mixed(self.mix_tokens(tokens.mT).mT)
        patches = self.norm_patches(patches)
        queries = self.pre_assign(tokens, patches)
        gathered, soft, hard = self.assign(queries, patches)
        groups = queries + gathered if self.residual else gathered
        groups = groups + self.mlp_out(self.norm_out(groups))
        return GroupingOutput(
            patches=patches, groups=groups, queries=queries, soft=soft, hard=hard, estimate=None
        )

    def alone(self, patches: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Return what each patch would be as the one patch of a group without its query.

        Args:
            patches: After their norm, as in `GroupingOutput`.
        """
        values = self.assign.proj(self.assign.v_proj(patches))
        return values + self.mlp_out(self.norm_out(values))
