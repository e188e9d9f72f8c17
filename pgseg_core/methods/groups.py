"""The method of grouping networks (GroupViT, PGSeg): groups are a window's regions.

Where `patch_share` is above 0 every patch is a region of its own: a group whose patches are not all
of one thing is then not called by one name (docs/method.md, "For few images").
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from pgseg_core.arrays import arrays_of
from pgseg_core.config import InferenceConfig
from pgseg_core.errors import CheckpointError, ConfigError
from pgseg_core.methods.method import Method, Owners, PatchGrid, Reading, Regions, Rule
from pgseg_core.networks.grouping import ImageOutput, PGSeg
from pgseg_core.text.tokenizer import Tokenizer


class GroupsMethod:
    """A grouping network as a method.

    Args:
        network: The network; it is put to test mode, on the device.
        options: How it reads photos and what answers.
        device: Where to compute; what comes back lies on the CPU.
    """

    def __init__(
        self, network: PGSeg, options: InferenceConfig, device: torch.device | None = None
    ) -> None:
        self.device = device or torch.device("cpu")
        self.network = network.eval().to(self.device)
        self.options = options
        self.tokenizer = Tokenizer(network.config.text.context_length)

    @property
    def reading(self) -> Reading:
        """How photos are best read: protocol `groupvit`, but for the options."""
        options = self.options
        return Reading(
            short_side=options.short_side,
            long_side=options.long_side,
            antialias=options.antialias,
            window=options.window,
            stride=options.stride,
            taper_windows=options.fade_windows,
            image_side=self.network.config.image.image_size,
            rule=Rule(top_k_by=options.candidates),
        )

    @property
    def departures(self) -> list[str]:
        """What patches have to say beside their groups."""
        found = []
        if self.options.patch_share:
            found.append(f"patch share {self.options.patch_share:g}")
        if self.options.patch_affinity:
            found.append(f"patch affinity {self.options.patch_affinity:g}")
        return found

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return self.network.config.image.patch_size

    @property
    def windows_at_once(self) -> int | None:
        """A CPU gains little by larger batches, so an image's windows are a batch there."""
        return None if self.device.type == "cpu" else 16

    @property
    def fingerprint(self) -> str:
        """Device and release of torch, whose roundings differ."""
        return f"groups {self.device} torch {torch.__version__}"

    @torch.inference_mode()
    def regions(self, windows: Float[np.ndarray, "b 3 h w"]) -> Regions:
        """Encode windows: their groups, or their patches where those answer for themselves."""
        output = self.encode(windows)
        vectors = region_vectors(self.network, output, self.options).float().cpu()
        height, width = windows.shape[2:]
        rows, columns = output.grid
        covered = (rows * self.patch_size, columns * self.patch_size)
        place: PatchGrid | Owners
        if self.options.patch_share:
            place = PatchGrid(rows, columns, (0, 0, *covered))
        else:
            maps = output.group_maps().float().cpu().unflatten(2, output.grid)
            place = Owners(largest_groups(maps, covered, (height, width)))
        return Regions(vectors, place, output.feature.float().cpu())

    @torch.inference_mode()
    def encode(self, windows: Float[np.ndarray, "b 3 h w"]) -> ImageOutput:
        """Encode windows, filled up with the mean colour to whole patches; all that is known."""
        down, right = (-side % self.patch_size for side in windows.shape[2:])
        pixels = torch.from_numpy(np.ascontiguousarray(windows)).to(self.device)
        return self.network.encode_image(F.pad(pixels, (0, right, 0, down)))

    @torch.inference_mode()
    def embed(self, prompts: Sequence[str]) -> Float[Tensor, "p e"]:
        """Encode prompts into vectors of any length.

        Raises:
            CheckpointError: The weights were made for a smaller vocabulary.
        """
        tokens = self.tokenizer(prompts)
        known = self.network.config.text.vocab_size
        if tokens.numel() and int(tokens.max()) >= known:
            raise CheckpointError(
                f"these weights read {known:,} byte pairs, and CLIP's tokeniser writes others too",
                hint="Name weights that were trained on its 49,408: pgseg models lists some.",
            )
        return self.network.encode_text(tokens.to(self.device)).feature.float().cpu()

    def scale(self) -> float:
        """Return 1 / temperature of the contrastive loss."""
        return float(self.network.scale().detach())

    def array(self, values: np.ndarray) -> Tensor:
        """Return a numpy array as a tensor on the CPU."""
        return torch.from_numpy(np.ascontiguousarray(values))


def as_groups(method: Method, wanted_by: str) -> GroupsMethod:
    """Return a method as the grouping method that it must be.

    Args:
        method: Any method.
        wanted_by: What looks into the network, for the error.

    Raises:
        ConfigError: It is another method.
    """
    if isinstance(method, GroupsMethod):
        return method
    raise ConfigError(
        f"{wanted_by} looks into a grouping network, which these weights are not",
        hint="Name the weights of a grouping network, in torch: pgseg models lists some.",
    )


def region_vectors(
    network: PGSeg, output: ImageOutput, options: InferenceConfig
) -> Float[Tensor, "b r e"]:
    """Return the vector of each group, or of each patch where patches answer for themselves.

    Args:
        network: The network that gave the output.
        output: Of a batch of windows.
        options: `patch_share` and `patch_affinity`.
    """
    groups = network.project_groups(output.tokens)
    if not options.patch_share:
        return groups
    looks = output.stages[0].patches
    maps = output.group_maps()
    vectors = patch_vectors(groups, network.project_patches(looks), maps, options.patch_share)
    if options.patch_affinity:
        vectors = shared_by_alike(vectors, looks, options.patch_affinity)
    return vectors


def largest_groups(
    maps: Float[Tensor, "b g y x"], covered: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Enlarge soft maps bilinearly and give each pixel to its largest group (step 3).

    The first group wins a tie.

    Args:
        maps: Share of each patch in each group.
        covered: Height and width in pixels that the patches cover.
        size: The window's; what filled its last patches is cut off.
    """
    return arrays_of(maps).owners(maps, covered, size)


def patch_vectors(
    groups: Float[Tensor, "b g e"],
    patches: Float[Tensor, "b n e"],
    maps: Float[Tensor, "b g n"],
    share: float,
) -> Float[Tensor, "b n e"]:
    """Mix each patch's own vector with its group's, so that cosines to classes are mixed alike.

    Args:
        groups: Group vectors, any length.
        patches: Vectors of patches as groups by themselves, any length.
        maps: Share of each patch in each group; the largest is its group.
        share: Weight of the patch's own, in [0, 1].
    """
    own = F.normalize(patches, dim=-1)
    place = maps.argmax(dim=1)[..., None].expand(-1, -1, groups.shape[-1])  # (b, n, e)
    groups_own = F.normalize(groups, dim=-1).gather(1, place)
    return torch.lerp(groups_own, own, share)


def shared_by_alike(
    vectors: Float[Tensor, "b n e"], looks: Float[Tensor, "b n d"], temperature: float
) -> Float[Tensor, "b n e"]:
    """Let patches with alike features share their vectors: sum_j softmax_j(cos_ij / T) v_j.

    Cosines are taken after the window's mean feature is taken away, which all its patches share.

    Args:
        vectors: What each patch says.
        looks: The features of each patch.
        temperature: Small: a patch listens to those most like it; large: to all.
    """
    looks = F.normalize(looks - looks.mean(dim=1, keepdim=True), dim=-1)
    weight = (looks @ looks.mT / temperature).softmax(dim=-1)  # (b, n, n)
    return weight @ vectors
