"""PGSeg, as the paper's figure shows it: two encoders, two projectors, one joint space."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pgseg_core.config import ModelConfig
from pgseg_core.networks.blocks.layers import Block, LinearProjector, Projector, ResidualProjector
from pgseg_core.networks.blocks.text_encoder import TextEncoder
from pgseg_core.networks.grouping.grouping import Assign
from pgseg_core.networks.grouping.image_encoder import ImageEncoder
from pgseg_core.networks.grouping.outputs import ImageOutput, TextOutput
from pgseg_core.npr import update_bank

MAX_SCALE = 100.0


class PGSeg(nn.Module):
    """The model. With `npr.enabled: false` it is GroupViT."""

    text_bank: Tensor | None
    image_projector: Projector | ResidualProjector
    text_projector: Projector | LinearProjector

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        hidden, joint = config.projector_width, config.joint_width
        self.image_encoder = ImageEncoder(config.image, config.npr)
        self.text_encoder = TextEncoder(config.text)
        if config.projector == "residual":
            self.image_projector = ResidualProjector(joint, hidden)
            self.text_projector = LinearProjector(config.text.width, joint)
        else:
            self.image_projector = Projector(config.image.width, hidden, joint)
            self.text_projector = Projector(config.text.width, hidden, joint)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / config.temperature)))
        if config.npr.enabled:
            self.prototype_logit_scale = nn.Parameter(
                torch.tensor(math.log(1 / config.npr.temperature))
            )
        self.register_buffer("text_bank", _text_bank(config))

    def encode_image(self, images: Float[Tensor, "b 3 h w"]) -> ImageOutput:
        """Encode images.

        Args:
            images: ImageNet-normalised RGB; sides are multiples of the patch size.
        """
        encoded = self.image_encoder(images)
        return ImageOutput(
            feature=self.image_projector(encoded.tokens.mean(dim=1)),
            tokens=encoded.tokens,
            stages=encoded.stages,
            grid=encoded.grid,
        )

    def project_groups(self, tokens: Float[Tensor, "b g d"]) -> Float[Tensor, "b g e"]:
        """Take group tokens into the joint space, through the projector as it is at test time."""
        return self.image_projector.as_at_test(tokens)

    def project_patches(self, patches: Float[Tensor, "b n d"]) -> Float[Tensor, "b n e"]:
        """Take each patch into the joint space, as if it were a group by itself.

        For one grouping stage without blocks behind it, whose groups are means of their patches.

        Args:
            patches: As the first stage groups them (`GroupingOutput.patches`).
        """
        encoder = self.image_encoder
        return self.project_groups(encoder.norm(encoder.alone(patches)))

    def encode_text(self, tokens: Int[Tensor, "b t"]) -> TextOutput:
        """Encode captions.

        Args:
            tokens: Byte-pair ids with start and end tokens, padded with 0.
        """
        encoded = self.text_encoder(tokens)
        return TextOutput(
            feature=self.text_projector(encoded.pooled), pooled=encoded.pooled, words=encoded.words
        )

    def set_blocks(self, *, recompute: bool, compiled: bool = False) -> None:
        """Choose how blocks are computed (`train.recompute`, `train.compile`): not what."""
        for module in self.modules():
            if isinstance(module, Block):
                module.recompute, module.compiled = recompute, compiled

    def fade_noise(self, share: float) -> None:
        """Let the assignments of training have a share of `image.assign_noise`."""
        for module in self.modules():
            if isinstance(module, Assign):
                module.noise = share * self.config.image.assign_noise

    def banks(self) -> dict[str, Float[Tensor, "k d"]]:
        """Return the prototype banks by name: `image.0`, `image.1`, ... and `text`."""
        banks = {f"image.{i}": bank for i, bank in self.image_encoder.banks()}
        return banks if self.text_bank is None else {**banks, "text": self.text_bank}

    @torch.no_grad()
    def move_banks(self, batch_means: Mapping[str, Float[Tensor, "k d"]]) -> None:
        """Move the named banks towards the batch's mean prototypes, by `npr.momentum`.

        The training loop calls this once per optimiser step; forward never does.
        """
        banks = self.banks()
        for name, mean in batch_means.items():
            banks[name].copy_(update_bank(banks[name], mean, momentum=self.config.npr.momentum))

    def scale(self) -> Float[Tensor, ""]:
        """Return 1 / temperature of InfoNCE, at most 100."""
        return self.logit_scale.exp().clamp(max=MAX_SCALE)

    def prototype_scale(self) -> Float[Tensor, ""]:
        """Return 1 / tau of L_PG, at most 100."""
        return self.prototype_logit_scale.exp().clamp(max=MAX_SCALE)


def _text_bank(config: ModelConfig) -> Float[Tensor, "k d"] | None:
    """Make the starting text prototypes that `npr.text_source` asks for; None without T-NPR."""
    npr, num_groups = config.npr, config.image.num_groups[-1]
    if not npr.enabled or npr.text_source == "none":
        return None
    if npr.text_source == "channels":
        bank = torch.randn(num_groups, 1)
        return bank / bank.norm(dim=0, keepdim=True)
    count = npr.batch_prototypes if npr.text_source == "batch" else num_groups
    bank = torch.randn(count, config.joint_width)
    return bank / bank.norm(dim=1, keepdim=True)
