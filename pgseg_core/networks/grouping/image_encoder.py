"""The image encoder: stages of transformer blocks, each ending in a grouping block."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pgseg_core.config import ImageEncoderConfig, NprConfig
from pgseg_core.networks.blocks.layers import Block, Mlp, Projector
from pgseg_core.networks.blocks.stem import PositionEmbedding, build_stem
from pgseg_core.networks.grouping.grouping import GroupingBlock
from pgseg_core.networks.grouping.outputs import GroupingOutput, StemOutput
from pgseg_core.npr import estimate_prototypes


@dataclass(frozen=True)
class EncodedImage:
    """What the encoder hands to the projector."""

    tokens: Float[Tensor, "b g d"]
    """Final group tokens after the last LayerNorm, those of empty groups filled if asked for."""
    stages: tuple[GroupingOutput, ...]
    grid: tuple[int, int]
    features: Float[Tensor, "b c v u"] | None
    """As in `StemOutput`."""


class PrototypePath(nn.Module):
    """The prototype bank of one stage, and the way its estimates feed back into the patches.

    The bank is a buffer that forward only reads: the training loop moves it, in one visible line.
    """

    bank: Tensor

    def __init__(self, config: NprConfig, num_prototypes: int, width: int) -> None:
        super().__init__()
        self.iterations = config.iterations
        bank = torch.randn(num_prototypes, width)
        self.register_buffer("bank", bank / bank.norm(dim=1, keepdim=True))
        self.reconstruct = (
            Projector(width, config.reconstruct_width, width) if config.reconstruct else None
        )


class Stage(nn.Module):
    """Blocks over patch and group tokens together, then the grouping block."""

    def __init__(
        self,
        config: ImageEncoderConfig,
        npr: NprConfig,
        index: int,
        drop_path_rates: list[float],
    ) -> None:
        super().__init__()
        width = config.width
        num_groups = config.num_groups[index]
        self.group_tokens = nn.Parameter(torch.zeros(1, num_groups, width))
        if index == 0:
            nn.init.normal_(self.group_tokens, std=config.group_token_std)
            self.carry = None
        else:
            self.carry = TokenCarry(config, config.num_groups[index - 1], num_groups)
        self.blocks = _blocks(config, drop_path_rates)
        self.prototypes = PrototypePath(npr, num_groups, width) if npr.enabled else None
        self.grouping = GroupingBlock(config, num_groups)

    def forward(
        self, tokens: Float[Tensor, "b n d"], carried: Float[Tensor, "b q d"] | None
    ) -> tuple[GroupingOutput, Float[Tensor, "b g d"]]:
        """Run the stage.

        Args:
            tokens: Patches, or the previous stage's groups.
            carried: The previous stage's group tokens after its blocks; None at the first stage.

        Returns:
            The grouping, and this stage's group tokens for the next one.
        """
        estimate = reexpressed = None
        if self.prototypes is not None:  # EM sees the tokens as they enter the stage
            estimate = estimate_prototypes(
                tokens.detach(), self.prototypes.bank, iterations=self.prototypes.iterations
            )
            if self.prototypes.reconstruct is not None:
                reexpressed = self.prototypes.reconstruct.of_mixture(
                    estimate.mixture().to(tokens.dtype), estimate.prototypes.to(tokens.dtype)
                )
        group_tokens = self.group_tokens.expand(tokens.shape[0], -1, -1)
        if self.carry is not None and carried is not None:
            group_tokens = group_tokens + self.carry(carried)

        num_tokens = tokens.shape[1]
        together = torch.cat([tokens, group_tokens.to(tokens.dtype)], dim=1)
        for block in self.blocks:
            together = block(together)
        tokens, group_tokens = together[:, :num_tokens], together[:, num_tokens:]

        if reexpressed is not None:
            tokens = tokens + reexpressed
        grouping = self.grouping(tokens, group_tokens)
        return replace(grouping, estimate=estimate), group_tokens


class TokenCarry(nn.Module):
    """LayerNorm and a token-mixing MLP: where the next stage's group tokens start from."""

    def __init__(self, config: ImageEncoderConfig, num_before: int, num_after: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        hidden = int(config.width * config.token_mlp_ratio)
        self.mix = Mlp(num_before, hidden, out=num_after)

    def forward(self, carried: Float[Tensor, "b q d"]) -> Float[Tensor, "b g d"]:
        """Mix q tokens into g."""
        return self.mix(self.norm(carried).mT).mT


class ImageEncoder(nn.Module):
    """Images to final group tokens, with every stage's assignment and prototypes."""

    def __init__(self, config: ImageEncoderConfig, npr: NprConfig) -> None:
        super().__init__()
        rates = torch.linspace(0, config.drop_path, sum(config.depths)).tolist()
        per_stage = [
            rates[sum(config.depths[:i]) : sum(config.depths[: i + 1])]
            for i in range(len(config.depths))
        ]
        self.stem = build_stem(config)
        self.position = PositionEmbedding(config)
        self.stages = nn.ModuleList(
            Stage(config, npr, index, per_stage[index]) for index in range(len(config.num_groups))
        )
        self.final_blocks = _blocks(config, per_stage[-1])
        self.norm = nn.LayerNorm(config.width)
        self.fill_empty = config.fill_empty

    def banks(self) -> Iterator[tuple[int, Float[Tensor, "k d"]]]:
        """Yield the prototype bank of every stage that has one, after its number."""
        for index, stage in enumerate(self.stages):
            if isinstance(stage, Stage) and stage.prototypes is not None:
                yield index, stage.prototypes.bank

    def alone(self, patches: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Return what the first stage makes of patches each of which is a group (see there)."""
        stage = self.stages[0]
        assert isinstance(stage, Stage)
        return stage.grouping.alone(patches)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> EncodedImage:
        """Encode; height and width are multiples of the patch size, otherwise free."""
        stem: StemOutput = self.stem(images)
        tokens = stem.tokens + self.position(stem.grid)
        outputs: list[GroupingOutput] = []
        carried = None
        for stage in self.stages:
            output, carried = stage(tokens, carried)
            outputs.append(output)
            tokens = output.groups
        for block in self.final_blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        return EncodedImage(
            tokens=_filled(tokens, outputs[-1].hard) if self.fill_empty else tokens,
            stages=tuple(outputs),
            grid=stem.grid,
            features=stem.features,
        )


def _filled(tokens: Float[Tensor, "b g d"], hard: Float[Tensor, "b g n"]) -> Float[Tensor, "b g d"]:
    """Give every group without patches the mean of the image's other groups."""
    used = (hard.detach().sum(dim=2, keepdim=True) > 0.5).to(tokens.dtype)  # (b, g, 1)
    mean = (used * tokens).sum(dim=1, keepdim=True) / used.sum(dim=1, keepdim=True)
    return torch.where(used > 0, tokens, mean)


def _blocks(config: ImageEncoderConfig, drop_path_rates: list[float]) -> nn.ModuleList:
    return nn.ModuleList(
        Block(config.width, config.num_heads, mlp_ratio=config.mlp_ratio, drop_path_rate=rate)
        for rate in drop_path_rates
    )
