"""Importer of transformers' GroupViT folders (config.json + model.safetensors)."""

import json
import re
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pgseg_core.checkpoint.naming import infer_model, move_final_blocks, rename
from pgseg_core.checkpoint.store import Checkpoint
from pgseg_core.config import parse_config
from pgseg_core.errors import CheckpointError

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_WEIGHT_ENDINGS = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")
# In the order they are applied.
_RULES = (
    (r"^vision_model\.embeddings\.position_embeddings$", "image_encoder.position.weight"),
    (r"^vision_model\.embeddings\.patch_embeddings\.projection\.", "image_encoder.stem.proj."),
    (r"^vision_model\.embeddings\.layernorm\.", "image_encoder.stem.norm."),
    (r"^vision_model\.layernorm\.", "image_encoder.norm."),
    (r"^vision_model\.encoder\.stages\.", "image_encoder.stages."),
    (r"\.group_token$", ".group_tokens"),
    (r"\.group_projector\.0\.", ".carry.norm."),
    (r"\.group_projector\.1\.", ".carry.mix."),
    (r"\.downsample\.", ".grouping."),
    (r"\.norm_post_tokens\.", ".norm_mixed."),
    (r"\.mlp_inter\.", ".mix_tokens."),
    (r"\.norm_x\.", ".norm_patches."),
    (r"\.norm_new_x\.", ".norm_out."),
    (r"\.mlp_channels\.", ".mlp_out."),
    (r"\.pre_assign_attn\.attn\.out_proj\.", ".pre_assign.attn.proj."),
    (r"\.pre_assign_attn\.", ".pre_assign."),
    (r"^(image_encoder\.stages\.\d+)\.layers\.", r"\1.blocks."),
    (r"^text_model\.embeddings\.token_embedding\.", "text_encoder.token."),
    (r"^text_model\.embeddings\.position_embedding\.weight$", "text_encoder.position"),
    (r"^text_model\.encoder\.layers\.", "text_encoder.blocks."),
    (r"^text_model\.final_layer_norm\.", "text_encoder.norm."),
    (r"\.layer_norm([12])\.", r".norm\1."),
    (r"\.self_attn\.out_proj\.", ".attn.proj."),
    (r"^visual_projection\.", "image_projector."),
    (r"^text_projection\.", "text_projector."),
    (r"^(\w+_projector)\.0\.", r"\1.fc1."),
    (r"^(\w+_projector)\.1\.", r"\1.norm."),
    (r"^(\w+_projector)\.3\.", r"\1.fc2."),
)
_QUERY = ".self_attn.q_proj."


def read_transformers(source: Path | str) -> Checkpoint:
    """Read a GroupViT folder, or download one by its hub name (nvidia/groupvit-gcc-redcaps).

    Raises:
        CheckpointError: The folder is not a GroupViT's, is damaged, or cannot be fetched.
    """
    folder = Path(source) if Path(source).is_dir() else _download(str(source))
    try:
        settings = json.loads((folder / "config.json").read_text("utf-8"))
        tensors = load_file(folder / "model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: not a readable transformers folder ({error})",
            hint="It needs config.json and model.safetensors",
        ) from None
    if settings.get("model_type") != "groupvit":
        raise CheckpointError(f"{folder}: model type '{settings.get('model_type')}', not groupvit")
    tensors = {name: value for name, value in tensors.items() if not name.endswith("position_ids")}
    weights = move_final_blocks(rename(_fuse_attention(tensors), _RULES))
    heads = int(settings["vision_config"]["num_attention_heads"])
    text_heads = int(settings["text_config"]["num_attention_heads"])
    values = infer_model(weights, num_heads=heads, text_heads=text_heads)
    return Checkpoint(
        path=folder,
        config=parse_config({"model": values}, origin=str(folder)),
        state={"origin": f"transformers:{folder.name}"},
        weights=weights,
    )


def _fuse_attention(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Stack every self-attention's query, key and value maps into one."""
    fused = {}
    for name, tensor in tensors.items():
        if _QUERY in name:
            parts = [tensor] + [
                tensors[name.replace("q_proj", part)] for part in ("k_proj", "v_proj")
            ]
            fused[name.replace(_QUERY, ".attn.qkv.")] = torch.cat(parts)
        elif not re.search(r"\.self_attn\.[kv]_proj\.", name):
            fused[name] = tensor
    return fused


def _download(name: str) -> Path:
    if not _HUB_NAME.fullmatch(name) or name.endswith(_WEIGHT_ENDINGS):
        raise CheckpointError(f"{name}: there is no such file or folder", hint="Check the path.")
    try:
        return Path(snapshot_download(name, allow_patterns=["config.json", "model.safetensors"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"'{name}' is neither a folder nor a model that could be downloaded ({reason})",
            hint="Check the path, or the network",
        ) from None
