"""Importers: nothing a file carries is run, and what does not fit is named."""

import pickle
from pathlib import Path

import pytest
import torch

from pgseg_core.checkpoint.importers import import_checkpoint
from pgseg_core.checkpoint.naming import move_final_blocks
from pgseg_core.checkpoint.pickles import read_pickle
from pgseg_core.errors import CheckpointError
from tests.reference.released import parity_path


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.write_text, (self.target, "it ran"))


@pytest.mark.parametrize("where", ["model", "config", "deep"])
def test_a_hostile_file_is_refused_and_nothing_runs(tmp_path, where):
    target = tmp_path / "ran"
    hostile = Hostile(target)
    content = {
        "model": {"model": {"img_encoder.pos_embed": hostile}},
        "config": {"model": {"img_encoder.pos_embed": torch.zeros(1)}, "config": hostile},
        "deep": {"model": {}, "optimizer": {"state": [{"x": (hostile,)}]}},
    }[where]
    torch.save(content, tmp_path / "hostile.pth")
    with pytest.raises(CheckpointError, match=r"hostile\.pth: refused to open"):
        import_checkpoint(str(tmp_path / "hostile.pth"))
    assert not target.exists()


def test_the_hostile_file_really_is_hostile(tmp_path):
    pickle.loads(pickle.dumps(Hostile(tmp_path / "ran")))
    assert (tmp_path / "ran").read_text() == "it ran"


@pytest.mark.parametrize("call", ["eval", "exec", "getattr", "__import__"])
def test_builtins_are_refused(tmp_path, call):
    path = tmp_path / "hostile.pth"
    torch.save({"model": {}}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(f"cbuiltins\n{call}\n(Vprint(1)\ntR.".encode())
    with pytest.raises(CheckpointError):
        read_pickle(path)


def test_old_and_new_torch_files_open(tmp_path):
    tensor = torch.arange(6.0).reshape(2, 3)
    for new in (True, False):
        path = tmp_path / f"{new}.pth"
        torch.save({"a": tensor, "b": [1, "two"]}, path, _use_new_zipfile_serialization=new)
        content = read_pickle(path)
        assert content["a"].equal(tensor)
        assert content["b"] == [1, "two"]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_files_that_are_no_weights(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"not a readable \.pth file"):
        import_checkpoint(str(tmp_path / "x.pth"))


def test_another_models_checkpoint(tmp_path):
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="not a released PGSeg or GroupViT checkpoint"):
        import_checkpoint(str(tmp_path / "x.pth"))


def test_a_folder_without_weights(tmp_path):
    with pytest.raises(CheckpointError, match="not a readable transformers folder"):
        import_checkpoint(str(tmp_path))


def test_another_kind_of_transformers_model(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(CheckpointError, match="model type 'clip', not groupvit"):
        import_checkpoint(str(tmp_path))


def test_neither_file_nor_model(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match="neither a folder nor a model"):
        import_checkpoint("no/such-model-anywhere")
    for path in ("gone.pth", "./gone", "/no/such/folder", "weights/gone.safetensors"):
        with pytest.raises(CheckpointError, match=f"{path}: there is no such file or folder"):
            import_checkpoint(path)


@pytest.mark.golden
def test_configurations_are_read_off_the_files():
    released = import_checkpoint(str(parity_path("PGSeg_A.pth"))).config.model
    assert released.npr.variant == "released"
    assert released.image.depths == (2, 1, 1)
    assert released.image.num_groups == (16, 4)
    assert released.image.num_heads == 2
    assert released.text.vocab_size == 512
    groupvit = import_checkpoint(str(parity_path("GroupViT_A.pth"))).config.model
    assert not groupvit.npr.enabled
    full = import_checkpoint(str(parity_path("PGSeg_mini_official_full.pth"))).config.model
    assert full.image.num_heads == 1, "read from the OmegaConf object, whose code never ran"


@pytest.mark.parametrize("behind", [False, True])
def test_only_blocks_behind_the_last_grouping_are_final(behind):
    blocks = [f"image_encoder.stages.{stage}.blocks.0.norm1.bias" for stage in range(2 + behind)]
    groupings = [f"image_encoder.stages.{stage}.grouping.norm_out.bias" for stage in range(2)]
    moved = move_final_blocks(dict.fromkeys([*blocks, *groupings], torch.zeros(1)))
    final = ["image_encoder.final_blocks.0.norm1.bias"] * behind
    assert list(moved) == [*blocks[:2], *final, *groupings]
