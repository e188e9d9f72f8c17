"""A checkpoint as ONNX files: written whole or not at all, and only if they compute the same.

Torch traces the networks once, with sizes that may vary, and ONNX Runtime is asked for the same
numbers before anything is kept.
"""

import contextlib
import hashlib
import io
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pgseg_core.atomic import whole_folder
from pgseg_core.checkpoint import Checkpoint, load_checkpoint
from pgseg_core.errors import BackendError
from pgseg_core.methods.exported import ExportedMethod
from pgseg_core.methods.exported_files import (
    IMAGE,
    IMAGE_OUTPUTS,
    TEXT,
    TEXT_OUTPUTS,
    Description,
    write_description,
)
from pgseg_core.methods.groups import GroupsMethod, region_vectors
from pgseg_core.networks.grouping import PGSeg
from pgseg_core.text.byte_pairs import caption_rows
from pgseg_core.weights import CARD, WEIGHTS

TOLERANCE = 1e-3
"""Largest difference to torch, relative to the largest number, with which a model is kept."""
_MOST_PATCHES = 512
_EXAMPLE_PATCHES = (11, 7)
"""Not square and not the training grid: what is the same for all grids must not be traced."""
_PROMPTS = ("a photo of a dog.", "sky")


class _ImagePart(nn.Module):
    def __init__(self, method: GroupsMethod) -> None:
        super().__init__()
        self.network = method.network
        self.options = method.options

    def forward(self, pixels: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, Tensor, Tensor]:
        output = self.network.encode_image(pixels)
        maps = output.group_maps().unflatten(2, output.grid)
        return region_vectors(self.network, output, self.options), output.feature, maps


class _TextPart(nn.Module):
    def __init__(self, model: PGSeg) -> None:
        super().__init__()
        self.encoder = model.text_encoder
        self.projector = model.text_projector

    def forward(self, tokens: Int[Tensor, "b t"]) -> Tensor:
        words = self.encoder.features(tokens)
        return self.projector(self.encoder.pooled(words, tokens))


def export_model(weights: Path, out: Path) -> Description:
    """Write weights as an exported model's folder (`files.py`), replacing what was there.

    Args:
        weights: A checkpoint or run folder.
        out: The folder to write.

    Raises:
        CheckpointError: The weights cannot be read.
        BackendError: A package is missing, or ONNX Runtime does not compute what torch does.
    """
    _require_packages()
    checkpoint = load_checkpoint(weights)
    method = GroupsMethod(checkpoint.build(), checkpoint.config.inference)
    description = _describe(checkpoint, method)
    with whole_folder(out) as folder, torch.no_grad():
        _write_image(method, description, folder / IMAGE)
        _write_text(method.network, description, folder / TEXT)
        write_description(folder, description)
        if (checkpoint.path / CARD).is_file():
            shutil.copy(checkpoint.path / CARD, folder / CARD)
        _compare(method, ExportedMethod(folder, description, "cpu"), description)
    return description


def _describe(checkpoint: Checkpoint, method: GroupsMethod) -> Description:
    return Description(
        patch_size=method.patch_size,
        context_length=method.tokenizer.context_length,
        scale=method.scale(),
        reading=method.reading,
        patches_answer=bool(method.options.patch_share),
        weights=hashlib.sha256((checkpoint.path / WEIGHTS).read_bytes()).hexdigest(),
    )


def _write_image(method: GroupsMethod, about: Description, file: Path) -> None:
    cells = [about.patch_size * _varying(axis, _MOST_PATCHES) for axis in ("y", "x")]
    sizes = {0: _varying("b", 256), 2: cells[0], 3: cells[1]}
    program = _traced(_ImagePart(method), {"pixels": _pixels(about)}, sizes, outputs=IMAGE_OUTPUTS)
    program.save(file, external_data=False)


def _write_text(model: PGSeg, about: Description, file: Path) -> None:
    most = about.context_length - 1  # torch traces the whole context apart; the file takes it too
    sizes = {0: _varying("b", 2**15), 1: _varying("t", most)}
    program = _traced(_TextPart(model), {"tokens": _tokens(about)}, sizes, outputs=TEXT_OUTPUTS)
    program.save(file, external_data=False)


def _traced(
    part: nn.Module, example: dict[str, Tensor], sizes: dict[int, Any], *, outputs: Sequence[str]
) -> "torch.onnx.ONNXProgram":
    """Trace a network that takes one tensor, whose axes may vary where sizes are given."""
    (name,) = example
    with _quietly():
        traced = torch.export.export(
            part.eval(), tuple(example.values()), dynamic_shapes={name: sizes}, strict=False
        )
        program = torch.onnx.export(
            traced, (), input_names=[name], output_names=outputs, dynamo=True, verbose=False
        )
    assert program is not None
    return program


def _varying(name: str, most: int) -> Any:
    return torch.export.Dim(name, min=2, max=most)


def _pixels(about: Description) -> Float[Tensor, "3 3 h w"]:
    height, width = (about.patch_size * cells for cells in _EXAMPLE_PATCHES)
    return torch.randn(3, 3, height, width, generator=torch.Generator().manual_seed(0))


def _tokens(about: Description) -> Int[Tensor, "2 t"]:
    rows = torch.tensor(caption_rows(_PROMPTS, about.context_length))
    return rows[:, : int(rows.argmax(dim=1).max()) + 1]


def _compare(method: GroupsMethod, exported: ExportedMethod, about: Description) -> None:
    """Ask both for the same, at other sizes than those of the example."""
    pixels = _pixels(about)[:1, :, :, : 6 * about.patch_size]
    found = exported.run_image(pixels.numpy())
    wanted = _ImagePart(method)(pixels)
    prompts = (_TextPart(method.network)(_tokens(about)),)
    for ours, theirs in zip((*found, exported.embed(_PROMPTS)), (*wanted, *prompts), strict=True):
        difference = float(np.abs(ours - theirs.numpy()).max() / theirs.abs().max())
        if not difference < TOLERANCE:
            raise BackendError(
                f"ONNX Runtime computes something else than torch (by {difference:.1e})",
                hint="Nothing was written. Other versions of onnxruntime and onnxscript may do.",
            )


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401, PLC0415 - an extra
        import onnxscript  # noqa: F401, PLC0415
    except ImportError as error:
        raise BackendError(
            f"exporting takes one more package ({error.name})", hint="pip install 'pgseg[onnx]'"
        ) from None


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's remarks on its own progress from the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
