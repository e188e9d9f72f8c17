"""What may compute the networks of `pgseg segment`: torch, or ONNX Runtime for exported models."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pgseg_core.errors import ConfigError, did_you_mean
from pgseg_core.memory import kept_for_good

if TYPE_CHECKING:
    from PIL import Image

    from pgseg_core.inference.class_bank import ClassBank
    from pgseg_core.inference.options import SegmentOptions
    from pgseg_core.inference.segmentation import Segmentation
    from pgseg_core.text.vocabulary import Vocabulary
    from pgseg_core.weights import Recommended

ENGINES = ("auto", "torch", "onnx")


class AnySegmenter(Protocol):
    """What the segmenters of all engines have in common."""

    @property
    def origin(self) -> str:
        """Where the weights came from."""
        ...

    @property
    def recommended(self) -> "Recommended":
        """What their card says of the background."""
        ...

    def embed_classes(self, classes: "Vocabulary", *, templates: str = ...) -> "ClassBank":
        """Embed class names."""
        ...

    def stream(
        self, photos: "Iterable[Image.Image]", classes: Any, options: "SegmentOptions | None" = ...
    ) -> "Iterator[Segmentation]":
        """Label photo after photo."""
        ...


def load_segmenter(engine: str, weights: Path | None, device: str) -> AnySegmenter:
    """Load weights into an engine.

    Args:
        engine: One of `ENGINES`; `auto` is onnx for exported models and torch for all others.
        weights: See `pgseg_core.weights.find_weights`.
        device: What to compute on.

    Raises:
        ConfigError: There is no such engine, or it does not read such weights.
        CheckpointError: The weights are missing or damaged, or not exported yet.
        BackendError: The engine or the device is not on this machine.
    """
    if engine not in ENGINES:
        raise ConfigError(f"no engine called '{engine}'", hint=did_you_mean(engine, ENGINES))
    from pgseg_core.onnx.files import is_exported

    exported = weights is not None and is_exported(weights)
    if engine == "onnx" or (engine == "auto" and exported):
        with kept_for_good():
            from pgseg_core.onnx.segmenter import OnnxSegmenter

            return OnnxSegmenter.load(weights, device=device)
    if exported:
        raise ConfigError(
            f"{weights}: exported to ONNX, which the engine torch does not read",
            hint="Use --engine onnx, or the weights that it was made of.",
        )
    with kept_for_good():
        from pgseg_core.inference.segmenter import Segmenter

        return Segmenter.load(weights, device=device)
