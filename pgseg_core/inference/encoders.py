"""What a segmenter asks of a network: windows and prompts in, vectors and group maps out.

Everything around it (windows, scores, background, refinement) is the same whatever computes this,
so another engine can stand where `TorchEncoders` does.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from pgseg_core.errors import CheckpointError
from pgseg_core.networks.grouping import ImageOutput, PGSeg


@dataclass(frozen=True)
class WindowOutput:
    """What the image encoder says of a batch of windows."""

    groups: Float[Tensor, "b g e"]
    """Vector of each final group in the joint space, of any length."""
    images: Float[Tensor, "b e"]
    """Vector of each window as a whole, of any length."""
    maps: Float[Tensor, "b g y x"]
    """Share of each patch in each final group; sums to 1 over g."""
    patches: Float[Tensor, "b n e"] | None = None
    """Vector of each patch as a group by itself, of any length, row by row; where asked for."""
    looks: Float[Tensor, "b n d"] | None = None
    """Each patch as the grouping sees it; with `patches`."""


@runtime_checkable
class Encoders(Protocol):
    """A network behind a segmenter. What it returns is float32 and lies on the CPU."""

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels; a window's maps have one cell for each begun patch."""
        ...

    @property
    def windows_at_once(self) -> int | None:
        """How many windows it wants in every call, always as many; None takes what there is.

        The rounding of a product depends on the size of its batch, not on the company in it. So an
        engine that gains by full batches gets them always full (the last one filled up), and an
        image's pixels are the same alone and among others.
        """
        ...

    def encode_windows(
        self, windows: Float[Tensor, "b 3 h w"], *, patches: bool = False
    ) -> WindowOutput:
        """Encode normalised windows of any one size; also each patch alone, if asked."""
        ...

    def encode_prompts(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b e"]:
        """Encode prompts, byte-pair ids padded with 0, into vectors of any length."""
        ...

    def scale(self) -> Float[Tensor, ""]:
        """Return 1 / temperature of the contrastive loss."""
        ...


class TorchEncoders:
    """The model itself, in torch."""

    def __init__(self, model: PGSeg, device: torch.device) -> None:
        self._model = model
        self._device = device

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return self._model.config.image.patch_size

    @property
    def windows_at_once(self) -> int | None:
        """A CPU gains little by larger batches, so an image's windows are a batch there."""
        return None if self._device.type == "cpu" else 16

    def encode_windows(
        self, windows: Float[Tensor, "b 3 h w"], *, patches: bool = False
    ) -> WindowOutput:
        """Encode normalised windows of any one size; also each patch alone, if asked."""
        output = self.encode_image(windows)
        looks = output.stages[0].patches
        return WindowOutput(
            groups=self._model.project_groups(output.tokens).float().cpu(),
            images=output.feature.float().cpu(),
            maps=output.group_maps().float().cpu().unflatten(2, output.grid),
            patches=self._model.project_patches(looks).float().cpu() if patches else None,
            looks=looks.float().cpu() if patches else None,
        )

    def encode_image(self, windows: Float[Tensor, "b 3 h w"]) -> ImageOutput:
        """Encode windows, filled up with the mean colour to whole patches; all that is known."""
        down, right = (-side % self.patch_size for side in windows.shape[2:])
        return self._model.encode_image(F.pad(windows.to(self._device), (0, right, 0, down)))

    def encode_prompts(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b e"]:
        """Encode prompts, byte-pair ids padded with 0.

        Raises:
            CheckpointError: The weights were made for a smaller vocabulary.
        """
        known = self._model.config.text.vocab_size
        if tokens.numel() and int(tokens.max()) >= known:
            raise CheckpointError(
                f"these weights read {known:,} byte pairs, and CLIP's tokeniser writes others too",
                hint="Name weights that were trained on its 49,408: pgseg models lists some.",
            )
        return self._model.encode_text(tokens.to(self._device)).feature.float().cpu()

    def scale(self) -> Float[Tensor, ""]:
        """Return 1 / temperature of the contrastive loss."""
        return self._model.scale().detach().cpu()
