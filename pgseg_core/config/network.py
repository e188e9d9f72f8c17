"""Options of the network: both encoders, the prototypes, and what joins them.

The defaults are the paper's ("pgseg-vits16"); presets of smaller models say only what differs.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from pgseg_core.config.ranges import STRICT, Count, NonNegative, NonNegativeInt, Positive, Share


@dataclass(frozen=True, kw_only=True)
class ImageEncoderConfig:
    """The grouping image encoder: a ViT whose group tokens gather patches, stage by stage."""

    __pydantic_config__ = STRICT

    stem: Literal["patch", "conv", "lite0"] = "patch"
    """How pixels become tokens: `patch` is one strided convolution (ViT); `conv` a small residual
    network that halves the image until a patch is one token, which learns sooner from few images;
    `lite0` is EfficientNet-Lite0, to be started from ImageNet (`train.stem_weights`)."""
    image_size: Count = 224
    """Side of the square training images, in pixels."""
    patch_size: Count = 16
    """Side of a patch, in pixels."""
    width: Count = 384
    """Channels of every token (d)."""
    num_heads: Count = 6
    """Attention heads of the transformer blocks; divides `width`."""
    depths: tuple[NonNegativeInt, ...] = (6, 3, 3)
    """Transformer blocks per stage; the last stage has no grouping block."""
    num_groups: tuple[Count, ...] = (64, 8)
    """Groups (g) of each grouping stage: as many tokens in as groups out; one entry fewer
    than `depths`."""
    group_token_std: Positive = 0.02
    """Spread of the first stage's group tokens at the start. Larger tells them apart sooner."""
    group_residual: bool = True
    """Whether a group keeps its query, which has seen the whole image, beside what it gathered.
    Without it a group knows its own patches alone, and few images suffice to name it."""
    fill_empty: bool = False
    """Whether a final group without patches takes the mean of those that have some. Without
    `group_residual` it is else one vector, the same for all images, near 0 before the last norms:
    they multiply its gradients by hundreds, and the image's vector is a mean of it and the rest."""
    mlp_ratio: Positive = 4.0
    """Hidden width of the blocks' MLPs over `width`."""
    token_mlp_ratio: Positive = 0.5
    """Hidden width of the MLPs that mix group tokens, over `width`."""
    drop_path: Share = 0.1
    """Stochastic depth of the last block; grows linearly from 0 at the first."""
    gumbel_temperature: Positive = 1.0
    """Temperature of the Gumbel straight-through assignment in training."""
    assign_scale: Positive = 1.0
    """Factor on the assignment's logits, beside 1 / sqrt(width). At 1 they start near 0.03, drowned
    by Gumbel noise in training and flat at test, where the product of two flat stages gives the
    whole image to one group; about 30 lets two stages tell patches apart from the start."""
    assign_noise: NonNegative = 1.0
    """How much Gumbel noise the assignment sees in training, beside logits of `assign_scale`. With
    the published 1, and the few steps that few images allow, groups stay random in training and are
    something else at test, where there is no noise; 0 trains what is tested."""
    assign_standardised: bool = False
    """Whether each group's logits have the mean 0 over an image's patches, and all of an image's
    the spread 1, before `assign_scale`. No group can then take a whole image, and how much Gumbel
    noise weighs in training is set, not learned. For few images; not in the paper."""

    @property
    def patches_are_groups(self) -> bool:
        """Whether a patch alone is something that a final group could be."""
        return len(self.num_groups) == 1 and not self.depths[-1] and not self.group_residual

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}"
            )
        if self.width % self.num_heads:
            raise ValueError(f"width {self.width} is not a multiple of num_heads {self.num_heads}")
        if self.stem == "conv" and self.patch_size.bit_count() != 1:
            raise ValueError(f"stem conv halves: patch_size {self.patch_size} is no power of 2")
        if self.stem == "lite0" and self.patch_size != 16:
            raise ValueError(f"stem lite0 has patches of 16 pixels, not {self.patch_size}")
        if len(self.depths) != len(self.num_groups) + 1:
            raise ValueError(
                f"depths has {len(self.depths)} stages and num_groups {len(self.num_groups)}: "
                "give one more depth than groups (the last stage does not group)"
            )
        if not self.num_groups:
            raise ValueError("num_groups is empty: at least one stage must group")


@dataclass(frozen=True, kw_only=True)
class TextEncoderConfig:
    """The causal text transformer over CLIP's byte pairs."""

    __pydantic_config__ = STRICT

    context_length: Annotated[int, Field(ge=3)] = 77
    """Longest caption in tokens, start and end tokens included; longer captions are cut."""
    vocab_size: Count = 49408
    """Size of the byte-pair vocabulary."""
    width: Count = 256
    """Channels of every word token."""
    depth: NonNegativeInt = 12
    """Transformer blocks; 0 with `pool: mean` or `bag` leaves a bag of words."""
    num_heads: Count = 4
    """Attention heads; divides `width`."""
    pool: Literal["end", "mean", "bag"] = "end"
    """What stands for the caption: the `end`-of-text token (CLIP); the `mean` of its words, each of
    which counts the same; or the `bag` of its words without order, where a word that says little
    can learn to be small (no blocks: `depth: 0`)."""

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError(f"width {self.width} is not a multiple of num_heads {self.num_heads}")
        if self.depth == 0 and self.pool == "end":
            raise ValueError(
                "depth 0 with pool end reads the same token of every caption: pool: mean"
            )
        if self.depth and self.pool == "bag":
            raise ValueError(f"pool bag has no blocks, but depth is {self.depth}: depth: 0")


@dataclass(frozen=True, kw_only=True)
class NprConfig:
    """Non-learnable prototypical regularisation (Algorithm 1). `enabled: false` is GroupViT."""

    __pydantic_config__ = STRICT

    enabled: bool = True
    """Whether prototypes exist at all; without them the model is GroupViT."""
    variant: Literal["paper", "released"] = "paper"
    """`paper` is Algorithm 1 as published; `released` repeats the published code, for its weights
    and numbers."""
    iterations: Count = 10
    """EM iterations per image (T)."""
    threshold: Share = 0.1
    """Hard rejection keeps the pairs whose scaled similarity is above this (phi)."""
    matching: Literal["hungarian", "greedy", "none"] = "hungarian"
    """How group tokens and prototypes are paired: `hungarian` is the pairing of largest total
    similarity (the paper), `greedy` takes the best free pair again and again, and `none` leaves
    each token the prototype of its own number."""
    momentum: Share = 0.9
    """How much of the prototype bank survives each step's update."""
    temperature: Positive = 0.1
    """Initial temperature of L_PG (tau); learned from there."""
    reconstruct: bool = True
    """Add the patches re-expressed by prototypes to the patches before grouping."""
    reconstruct_width: Count = 4096
    """Hidden channels of the MLP on the re-expressed patches."""
    image_stages: tuple[NonNegativeInt, ...] | Literal["all"] = "all"
    """Grouping stages, counted from 0, whose tokens the image prototypes regularise (I-NPR)."""
    text_source: Literal["words", "batch", "channels", "none"] = "words"
    """What text prototypes are made of (T-NPR): `words` of the caption, the captions of the global
    `batch`, the caption vector's `channels` (as released; no gradient), or `none`."""
    batch_prototypes: Count = 64
    """Prototypes that `text_source: batch` shares among the images; one a group, or more."""
    weight: NonNegative = 0.1
    """Weight of all prototype losses beside InfoNCE."""
    text_weight: NonNegative = 0.1
    """Weight of T-NPR inside the prototype losses."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The whole network."""

    __pydantic_config__ = STRICT

    image: ImageEncoderConfig = field(default_factory=ImageEncoderConfig)
    text: TextEncoderConfig = field(default_factory=TextEncoderConfig)
    npr: NprConfig = field(default_factory=NprConfig)
    joint_width: Count = 256
    """Channels of the space in which images, groups and captions are compared."""
    projector: Literal["mlp", "residual"] = "mlp"
    """What takes groups and captions into the joint space: two maps with BatchNorm and ReLU
    between (the paper); or, `residual`, for groups the identity and such a map beside it, for
    captions one linear map, so that things that no caption names keep the place that the stem gave
    them."""
    projector_width: Count = 4096
    """Hidden channels of the two projectors."""
    temperature: Positive = 0.07
    """Initial temperature of InfoNCE; learned from there."""
    shared_nouns: bool = False
    """Whether a noun's prompts match every image whose captions name it (`data.num_nouns`). In the
    paper's multi-label contrast they match only the image that drew them, and another image of a
    dog counts as wrong for "a dog"."""
    stem_names: NonNegative = 0.0
    """Weight of calling each group what the stem's own classifier, ImageNet's, calls its patches;
    so that classes that the captions lack are not forgotten. For `stem: lite0` with
    `train.stem_weights`."""
    group_contrast: NonNegative = 0.0
    """Weight of a contrast between single groups and texts, captions and nouns, beside that of
    whole images: an image fits a text as well as its best groups do (log-sum-exp). 0, as in the
    paper, turns it off."""
    patch_contrast: NonNegative = 0.0
    """Weight of the same contrast between single patches and texts, each patch as the one patch of
    a group: for one grouping stage without blocks behind it or `group_residual`. 0, as in the
    paper, turns it off."""
    contrasted_patches: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of an image's patches that `patch_contrast` looks at, drawn anew in every step: taking
    all of them into the joint space can cost as much as the rest of the step."""

    def __post_init__(self) -> None:
        if self.projector == "residual" and self.image.width != self.joint_width:
            raise ValueError(
                f"projector residual adds to what it gets: joint_width {self.joint_width} is not "
                f"image.width {self.image.width}"
            )
        if self.stem_names and self.image.stem != "lite0":
            raise ValueError(f"stem_names needs stem lite0; stem {self.image.stem} knows no names")
        if self.patch_contrast and not self.image.patches_are_groups:
            raise ValueError(
                "patch_contrast asks what a patch alone would be called: that takes one grouping "
                "stage, no blocks behind it, and group_residual: false; 0 turns it off"
            )
        stages = len(self.image.num_groups)
        if (
            self.npr.text_source == "batch"
            and self.npr.batch_prototypes < self.image.num_groups[-1]
        ):
            raise ValueError(
                f"npr.batch_prototypes {self.npr.batch_prototypes} is fewer than the last stage's "
                f"{self.image.num_groups[-1]} groups: each group needs its own"
            )
        if self.npr.image_stages != "all":
            for stage in self.npr.image_stages:
                if stage >= stages:
                    raise ValueError(
                        f"npr.image_stages names stage {stage}, but the encoder groups in stages "
                        f"0 to {stages - 1}"
                    )

    def num_contrasted(self, patches: int) -> int:
        """Return how many of an image's patches `patch_contrast` looks at."""
        return max(1, round(self.contrasted_patches * patches))
