"""Importer of the released PGSeg and GroupViT checkpoints (.pth)."""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from pgseg_core.checkpoint.naming import infer_model, move_final_blocks, rename
from pgseg_core.checkpoint.pickles import read_pickle
from pgseg_core.checkpoint.store import Checkpoint
from pgseg_core.config import parse_config
from pgseg_core.errors import CheckpointError

# In the order they are applied.
RULES = (
    (r"^img_encoder\.pos_embed$", "image_encoder.position.weight"),
    (r"^img_encoder\.logit_scale$", "prototype_logit_scale"),
    (r"^img_encoder\.patch_embed\.", "image_encoder.stem."),
    (r"^img_encoder\.layers\.(\d+)\.group_token$", r"image_encoder.stages.\1.group_tokens"),
    (r"^img_encoder\.layers\.(\d+)\.group_projector\.0\.", r"image_encoder.stages.\1.carry.norm."),
    (r"^img_encoder\.layers\.(\d+)\.group_projector\.1\.", r"image_encoder.stages.\1.carry.mix."),
    (r"\.downsample_spatial\.mu$", ".prototypes.bank"),
    (r"\.downsample_spatial\.mapping_x\.", ".prototypes.reconstruct."),
    (r"\.downsample\.", ".grouping."),
    (r"^img_encoder\.layers\.", "image_encoder.stages."),
    (r"^img_encoder\.norm\.", "image_encoder.norm."),
    (r"\.norm_post_tokens\.", ".norm_mixed."),
    (r"\.mlp_inter\.", ".mix_tokens."),
    (r"\.norm_x\.", ".norm_patches."),
    (r"\.norm_new_x\.", ".norm_out."),
    (r"\.mlp_channels\.", ".mlp_out."),
    (r"\.pre_assign_attn\.", ".pre_assign."),
    (r"\.linear_hidden\.0\.", ".fc1."),
    (r"\.linear_hidden\.1\.", ".norm."),
    (r"\.linear_out\.", ".fc2."),
    (r"^img_projector\.", "image_projector."),
    (r"^text_encoder\.Atten\.mu$", "text_bank"),
    (r"^text_encoder\.positional_embedding$", "text_encoder.position"),
    (r"^text_encoder\.token_embedding\.", "text_encoder.token."),
    (r"^text_encoder\.transformer\.resblocks\.", "text_encoder.blocks."),
    (r"^(text_encoder.*)\.attn\.in_proj_", r"\1.attn.qkv."),
    (r"^(text_encoder.*)\.attn\.out_proj\.", r"\1.attn.proj."),
    (r"^(text_encoder.*)\.ln_([12])\.", r"\1.norm\2."),
    (r"^(text_encoder.*)\.mlp\.c_fc\.", r"\1.mlp.fc1."),
    (r"^(text_encoder.*)\.mlp\.c_proj\.", r"\1.mlp.fc2."),
    (r"^text_encoder\.ln_final\.", "text_encoder.norm."),
)
# Made by the released code and never read by it.
_UNUSED = r"^img_encoder\.mapping_text\."


def read_released(path: Path) -> Checkpoint:
    """Read a released PGSeg or GroupViT checkpoint; which one is told by its tensors.

    Its model computes as the released code does, so prototypes get `npr.variant: released`.

    Raises:
        CheckpointError: The file is unsafe, damaged, or not such a checkpoint.
    """
    content = read_pickle(path)
    tensors = content.get("model")
    if not isinstance(tensors, dict) or "img_encoder.pos_embed" not in tensors:
        raise CheckpointError(
            f"{path}: not a released PGSeg or GroupViT checkpoint (no img_encoder in its model)"
        )
    kept = {name: tensor for name, tensor in tensors.items() if not re.match(_UNUSED, name)}
    weights = rename(kept, RULES)
    weights = move_final_blocks(weights)
    weights = {name: _without_kernel_axis(name, tensor) for name, tensor in weights.items()}
    if "text_bank" in weights:
        weights["text_bank"] = weights["text_bank"][0]
    values = infer_model(weights, num_heads=_num_heads(content.get("config"), weights))
    return Checkpoint(
        path=path,
        config=parse_config({"model": values}, origin=str(path)),
        state={"origin": f"released:{path.name}", "epoch": content.get("epoch")},
        weights=weights,
    )


def _without_kernel_axis(name: str, tensor: Tensor) -> Tensor:
    """Turn 1 x 1 convolutions into linear maps, and banks of (1, k, d) into (k, d)."""
    if name.endswith(("fc1.weight", "fc2.weight")) and tensor.dim() == 3:
        return tensor[:, :, 0]
    return tensor[0] if name.endswith("prototypes.bank") else tensor


def _num_heads(config: Any, weights: dict[str, Tensor]) -> int:
    """Read the number of heads from the stored configuration, or assume ViT's 64 channels each."""
    try:
        return int(config["model"]["img_encoder"]["num_heads"][0])
    except (KeyError, TypeError, IndexError):
        return max(1, weights["image_encoder.norm.weight"].shape[0] // 64)
