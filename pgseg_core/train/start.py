"""What a new run starts from: other weights, a stem that has seen ImageNet, the names it knows."""

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pgseg_core.checkpoint import (
    Classifier,
    load_checkpoint,
    load_weights,
    read_classifier,
    read_lite0,
)
from pgseg_core.config import TrainConfig
from pgseg_core.errors import ConfigError
from pgseg_core.networks.grouping import (
    GroupingBlock,
    LinearProjector,
    Lite0Stem,
    PGSeg,
    ResidualProjector,
)
from pgseg_core.text.byte_pairs import END_TOKEN, START_TOKEN
from pgseg_core.text.imagenet import imagenet_names
from pgseg_core.text.tokenizer import Tokenizer

RIDGE = 0.03
"""How much an error in a class's place weighs against short word vectors. Words of a thousand names
are solved for; without it rare ones would explain what is noise."""


def start_weights(model: PGSeg, config: TrainConfig) -> None:
    """Give a new run the weights that it is to start from.

    Raises:
        ConfigError: Weights for a stem that the model does not have, or a model that cannot start
            from names.
        CheckpointError: They cannot be read, or belong to another model.
    """
    if config.start_from:
        start = load_checkpoint(Path(config.start_from))
        load_weights(model, start.weights, origin=str(start.path))
    if config.stem_weights:
        stem = model.image_encoder.stem
        if not isinstance(stem, Lite0Stem):
            raise ConfigError(
                "train.stem_weights is for model.image.stem=lite0 alone",
                hint="Leave it out, or start from --preset pgseg-lite0",
            )
        stem.network.load_state_dict(read_lite0(config.stem_weights))
    if config.start_names:
        if not config.stem_weights:
            raise ConfigError(
                "train.start_names is about the classes of train.stem_weights, which is not given",
                hint="--set train.stem_weights=imagenet, or leave start_names out",
            )
        start_from_names(model, read_classifier(config.stem_weights))


@torch.no_grad()
def start_from_names(model: PGSeg, classifier: Classifier) -> None:
    """Let the model begin as its stem's classifier, read by words.

    A classifier scores class c at a cell of the stem's last map f as w_c f + b_c. The d directions
    that carry most of the (centred) rows w_c become the stem's projection, and every map from there
    to the joint space begins as the identity: a group is the mean of its patches, seen from those
    directions. Words begin where, averaged over a class's name, they come closest to its row (ridge
    regression), so that cosines of groups and names order as the classifier does. A word that is in
    no name begins at zero: it says nothing until a caption teaches it.

    Args:
        model: With stem `lite0`, residual projectors, a bag of words, and d = w = e.
        classifier: Of the stem's network.

    Raises:
        ConfigError: The model is of another make, or wider than there are classes.
    """
    stem, encoder = model.image_encoder.stem, model.text_encoder
    width = model.config.joint_width
    if not (
        isinstance(stem, Lite0Stem)
        and isinstance(model.image_projector, ResidualProjector)
        and isinstance(model.text_projector, LinearProjector)
        and encoder.pool == "bag"
        and model.config.image.width == model.config.text.width == width
    ):
        raise ConfigError(
            "train.start_names needs stem lite0, residual projectors, a bag of words and one width",
            hint="--preset pgseg-lite0 has them all",
        )
    if width > len(classifier.weight):
        raise ConfigError(
            f"train.start_names: {len(classifier.weight)} classes span only "
            f"{len(classifier.weight)} directions, not the model's {width}",
            hint="Make image, text and joint space narrower",
        )
    rows = classifier.weight - classifier.weight.mean(dim=0)
    directions = torch.linalg.svd(rows, full_matrices=False).Vh[:width]  # (d, c)

    stem.proj_coarse.weight.copy_(directions)
    nn.init.zeros_(stem.proj_fine.weight)
    for block in model.modules():
        if isinstance(block, GroupingBlock):
            _pass_on(block.assign.v_proj)
            _pass_on(block.assign.proj)
            nn.init.zeros_(block.mlp_out.fc2.weight)
    _pass_on(model.text_projector)
    nn.init.zeros_(model.image_projector.mlp.fc2.weight)

    places = rows @ directions.mT
    places = places / places.norm(dim=1, keepdim=True)
    names = Tokenizer(model.config.text.context_length)(imagenet_names())
    encoder.token.weight.copy_(place_words(names, places, vocabulary=len(encoder.token.weight)))


def place_words(
    names: Int[Tensor, "k t"], places: Float[Tensor, "k w"], *, vocabulary: int
) -> Float[Tensor, "v w"]:
    """Find word vectors whose means over each name come close to the names' places.

    Ridge regression in its dual form, k x k: there are fewer names than words.

    Args:
        names: Byte-pair ids with start and end tokens, padded with 0.
        places: Where the names should be.
        vocabulary: Number of words (v); those in no name are zero.
    """
    share = torch.zeros(len(names), vocabulary)
    for row, ids in zip(share, names.tolist(), strict=True):
        words = ids[ids.index(START_TOKEN) + 1 : ids.index(END_TOKEN)]
        for word in words:
            row[word] += 1 / len(words)
    gram = share @ share.mT + RIDGE * torch.eye(len(names))
    return share.mT @ torch.linalg.solve(gram, places)


def _pass_on(linear: nn.Linear) -> None:
    """Make a linear map the identity."""
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
