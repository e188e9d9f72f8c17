"""Small weights: what is left out comes back, what is rounded stays close."""

import torch
from safetensors.torch import load_file

from pgseg_core.checkpoint import load_checkpoint, save_checkpoint
from pgseg_core.checkpoint.compact import compact, expand
from pgseg_core.networks.grouping import build_model
from tests.tiny import tiny_config


def weights_with_unknown_words() -> dict[str, torch.Tensor]:
    weights = build_model(tiny_config().model).state_dict()
    weights["text_encoder.token.weight"][100:] = 0
    return weights


def test_rows_of_unknown_words_are_left_out_and_come_back():
    weights = weights_with_unknown_words()
    small = compact(weights)
    assert small["text_encoder.token.weight"].shape[0] == 100
    again = expand(small)
    assert set(again) == set(weights)
    for name, tensor in weights.items():
        if tensor.dim() > 1:
            torch.testing.assert_close(again[name], tensor.half(), rtol=0, atol=0)
        else:
            assert torch.equal(again[name], tensor)


def test_a_full_table_stays_whole():
    weights = build_model(tiny_config().model).state_dict()
    assert set(compact(weights)) == set(weights)


def test_a_compact_checkpoint_loads_like_any_other(tmp_path):
    config, weights = tiny_config(), weights_with_unknown_words()
    save_checkpoint(tmp_path / "full", config, weights, {})
    save_checkpoint(tmp_path / "small", config, compact(weights), {"step": 3})
    full, small = ((tmp_path / n / "model.safetensors").stat().st_size for n in ("full", "small"))
    assert small < full / 10
    assert "text_encoder.token.rows" in load_file(tmp_path / "small" / "model.safetensors")
    model = load_checkpoint(tmp_path / "small").build()
    assert all(p.dtype == torch.float32 for p in model.parameters())
    tokens = torch.tensor([[49406, 5, 7, 49407]])
    reference = load_checkpoint(tmp_path / "full").build()
    torch.testing.assert_close(
        model.encode_text(tokens).feature,
        reference.encode_text(tokens).feature,
        rtol=0.01,
        atol=1e-3,
    )
