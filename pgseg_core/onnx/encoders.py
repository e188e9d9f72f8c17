"""The two networks in ONNX Runtime: windows and prompts in, vectors and group maps out."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from pgseg_core.errors import BackendError, CheckpointError
from pgseg_core.onnx.files import IMAGE, IMAGE_OUTPUTS, TEXT, TEXT_OUTPUTS, Description
from pgseg_core.text.byte_pairs import END_TOKEN, caption_rows

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PROMPTS_AT_ONCE = 256
_ERRORS_ALONE = 3
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class WindowOutput:
    """What the image network says of a batch of windows."""

    groups: Float[np.ndarray, "b m e"]
    """Vector of each final group in the joint space, of any length; of each patch, row by row,
    where patches answer for themselves."""
    images: Float[np.ndarray, "b e"]
    """Vector of each window as a whole, of any length."""
    maps: Float[np.ndarray, "b g y x"]
    """Share of each patch in each final group; sums to 1 over g."""


class OnnxEncoders:
    """An exported model's networks.

    Args:
        folder: Where they lie.
        description: What is known of them.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        BackendError: ONNX Runtime is not installed, or has no such device.
        CheckpointError: A network is damaged.
    """

    def __init__(self, folder: Path, description: Description, device: str = "auto") -> None:
        self._about = description
        provider = _provider(device)
        with ThreadPoolExecutor(1) as beside:
            text = beside.submit(_session, folder / TEXT, provider)
            self._image = _session(folder / IMAGE, provider)
            self._text = text.result()

    def encode_windows(self, windows: Float[np.ndarray, "b 3 h w"]) -> WindowOutput:
        """Encode normalised windows of one size, filled up with the mean colour to patches."""
        down, right = (-side % self._about.patch_size for side in windows.shape[2:])
        pixels = np.pad(windows, ((0, 0), (0, 0), (0, down), (0, right)))
        groups, images, maps = self._image.run(IMAGE_OUTPUTS, {"pixels": pixels})
        return WindowOutput(groups=groups, images=images, maps=maps)

    def encode_prompts(self, prompts: Sequence[str]) -> Float[np.ndarray, "b e"]:
        """Encode prompts into vectors of any length."""
        rows = np.array(caption_rows(prompts, self._about.context_length), dtype=np.int64)
        parts = [rows[at : at + PROMPTS_AT_ONCE] for at in range(0, len(rows), PROMPTS_AT_ONCE)]
        return np.concatenate([self._encode_rows(part) for part in parts])

    def _encode_rows(self, rows: np.ndarray) -> np.ndarray:
        longest = int((rows == END_TOKEN).argmax(axis=1).max()) + 1
        prompts: np.ndarray = self._text.run(TEXT_OUTPUTS, {"tokens": rows[:, :longest]})[0]
        return prompts


def _provider(device: str) -> str:
    runtime = _runtime()
    here = {
        name: each for name, each in _PROVIDERS.items() if each in runtime.get_available_providers()
    }
    if device == "auto":
        return here.get("cuda", _PROVIDERS["cpu"])
    if device not in here:
        raise BackendError(
            f"this ONNX Runtime has no device {device}",
            hint=f"Here: {', '.join(here)}. For CUDA: pip install onnxruntime-gpu",
        )
    return here[device]


def _session(file: Path, provider: str) -> "InferenceSession":
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.log_severity_level = _ERRORS_ALONE
    # Named, because otherwise it pins threads to cores, which a container may refuse it.
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    try:
        return runtime.InferenceSession(str(file), options, providers=[provider])
    except Exception as error:  # its exceptions have no base class of their own
        first = str(error).splitlines()[0]
        raise CheckpointError(
            f"{file}: cannot be loaded ({first})", hint="Export it again: pgseg export onnx"
        ) from None


def _runtime() -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - an extra
    except ImportError:
        raise BackendError(
            "the engine onnx takes one more package", hint="pip install 'pgseg[onnx]'"
        ) from None
    return onnxruntime
