"""What importers share: renaming tensors by rules, and reading a model's shape off its tensors."""

import re
from collections.abc import Iterable
from typing import Any

from torch import Tensor

from pgseg_core.errors import CheckpointError


def rename(tensors: dict[str, Tensor], rules: Iterable[tuple[str, str]]) -> dict[str, Tensor]:
    """Apply every (pattern, replacement) in order to every name."""
    renamed = {}
    for original, tensor in tensors.items():
        name = original
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed


def move_final_blocks(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Move blocks of a stage that does not group, which is the last one, out of the stages."""
    stage = r"image_encoder\.stages\.(\d+)\."
    grouping = {found[1] for name in weights if (found := re.match(rf"{stage}grouping\.", name))}

    def moved(name: str) -> str:
        block = re.match(rf"{stage}(blocks\..*)", name)
        if block is None or block[1] in grouping:
            return name
        return f"image_encoder.final_{block[2]}"

    return {moved(name): tensor for name, tensor in weights.items()}


def infer_model(
    weights: dict[str, Tensor], *, num_heads: int, text_heads: int | None = None
) -> dict[str, Any]:
    """Return the `model` section of a configuration that these tensors (in our names) fit.

    Args:
        weights: Tensors by our names.
        num_heads: Heads of the image encoder, which shapes do not tell.
        text_heads: Heads of the text encoder; CLIP's 64 channels each by default.

    Raises:
        CheckpointError: A tensor that every model has is missing.
    """
    try:
        return _infer(weights, num_heads, text_heads)
    except KeyError as error:
        raise CheckpointError(f"not a grouping model: it has no {error.args[0]}") from None


def _infer(weights: dict[str, Tensor], num_heads: int, text_heads: int | None) -> dict[str, Any]:
    _, _, patch_size, _ = weights["image_encoder.stem.proj.weight"].shape
    _, num_patches, width = weights["image_encoder.position.weight"].shape
    stages = _count(weights, r"image_encoder\.stages\.(\d+)\.grouping\.")
    depths = [
        _count(weights, rf"image_encoder\.stages\.{i}\.blocks\.(\d+)\.") for i in range(stages)
    ]
    depths.append(_count(weights, r"image_encoder\.final_blocks\.(\d+)\."))
    first = "image_encoder.stages.0"
    bank = weights.get(f"{first}.prototypes.bank")
    reconstruct = weights.get(f"{first}.prototypes.reconstruct.fc1.weight")
    context_length, text_width = weights["text_encoder.position"].shape
    npr: dict[str, Any] = {"enabled": bank is not None}
    if bank is not None:
        npr |= {"variant": "released", "text_source": "channels"}
        npr |= {"reconstruct": reconstruct is not None}
        if reconstruct is not None:
            npr["reconstruct_width"] = len(reconstruct)
    return {
        "image": {
            "image_size": round(num_patches**0.5) * patch_size,
            "patch_size": patch_size,
            "width": width,
            "num_heads": num_heads,
            "depths": depths,
            "num_groups": [
                weights[f"image_encoder.stages.{i}.group_tokens"].shape[1] for i in range(stages)
            ],
            "token_mlp_ratio": len(weights[f"{first}.grouping.mix_tokens.fc1.weight"]) / width,
        },
        "text": {
            "context_length": context_length,
            "vocab_size": len(weights["text_encoder.token.weight"]),
            "width": text_width,
            "depth": _count(weights, r"text_encoder\.blocks\.(\d+)\."),
            "num_heads": text_heads or max(1, text_width // 64),
        },
        "npr": npr,
        "joint_width": len(weights["image_projector.fc2.weight"]),
        "projector_width": len(weights["image_projector.fc1.weight"]),
    }


def _count(weights: dict[str, Tensor], pattern: str) -> int:
    found = [re.match(pattern, name) for name in weights]
    return max((int(match[1]) for match in found if match), default=-1) + 1
