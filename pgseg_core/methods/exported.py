"""An exported model as a method: two networks in ONNX Runtime, and numpy; no torch."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from pgseg_core.arrays import NUMPY
from pgseg_core.errors import BackendError, CheckpointError
from pgseg_core.methods.exported_files import (
    IMAGE,
    IMAGE_OUTPUTS,
    TEXT,
    TEXT_OUTPUTS,
    Description,
    find_exported,
    read_description,
)
from pgseg_core.methods.method import Owners, PatchGrid, Reading, Regions
from pgseg_core.text.byte_pairs import END_TOKEN, caption_rows

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PROMPTS_AT_ONCE = 256
_ERRORS_ALONE = 3
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class ExportedMethod:
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
        self.about = description
        provider = _provider(device)
        with ThreadPoolExecutor(1) as beside:
            text = beside.submit(_session, folder / TEXT, provider)
            self._image = _session(folder / IMAGE, provider)
            self._text = text.result()

    @classmethod
    def load(cls, weights: Path, device: str = "auto") -> "ExportedMethod":
        """Load an exported model.

        Args:
            weights: Its folder, or a checkpoint's or run's that holds one as `onnx/`.
            device: `auto`, `cpu` or `cuda`.

        Raises:
            CheckpointError: Nothing exported is there, or it is damaged.
            BackendError: ONNX Runtime is not installed, or has no such device.
        """
        folder = find_exported(weights)
        return cls(folder, read_description(folder), device)

    @property
    def reading(self) -> Reading:
        """As the model that was exported read."""
        return self.about.reading

    @property
    def departures(self) -> list[str]:
        """Whether patches answer for themselves."""
        return ["patches answer"] if self.about.patches_answer else []

    @property
    def windows_at_once(self) -> int | None:
        """An image's windows are a batch."""
        return None

    @property
    def fingerprint(self) -> str:
        """ONNX Runtime's release, whose roundings differ."""
        return f"exported onnxruntime {_runtime().__version__}"

    def regions(self, windows: Float[np.ndarray, "b 3 h w"]) -> Regions:
        """Encode windows, filled up with the mean colour to whole patches."""
        patch, size = self.about.patch_size, windows.shape[2:]
        down, right = (-side % patch for side in size)
        pixels = np.pad(windows, ((0, 0), (0, 0), (0, down), (0, right)))
        vectors, whole, maps = self.run_image(pixels)
        rows, columns = maps.shape[2:]
        covered = (rows * patch, columns * patch)
        place: PatchGrid | Owners
        if self.about.patches_answer:
            place = PatchGrid(rows, columns, (0, 0, *covered))
        else:
            place = Owners(NUMPY.owners(maps, covered, (size[0], size[1])))
        return Regions(vectors, place, whole)

    def embed(self, prompts: Sequence[str]) -> Float[np.ndarray, "p e"]:
        """Encode prompts into vectors of any length."""
        rows = np.array(caption_rows(prompts, self.about.context_length), dtype=np.int64)
        parts = [rows[at : at + PROMPTS_AT_ONCE] for at in range(0, len(rows), PROMPTS_AT_ONCE)]
        return np.concatenate([self._run_text(part) for part in parts])

    def scale(self) -> float:
        """Return 1 / temperature of the contrastive loss."""
        return self.about.scale

    def array(self, values: np.ndarray) -> np.ndarray:
        """Return the array itself."""
        return values

    def run_image(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return vectors (b, r, e), windows (b, e) and maps (b, g, y, x) of whole patches."""
        vectors, whole, maps = self._image.run(IMAGE_OUTPUTS, {"pixels": pixels})
        return vectors, whole, maps

    def _run_text(self, rows: np.ndarray) -> np.ndarray:
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
            "exported models take one more package", hint="pip install 'pgseg[onnx]'"
        ) from None
    return onnxruntime
