"""The whole network against the released code and transformers: features, losses, gradients."""

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pgseg_core.checkpoint.importers import import_checkpoint
from pgseg_core.checkpoint.store import Checkpoint
from pgseg_core.comm import LocalCollectives
from pgseg_core.data.batch import Batch
from pgseg_core.networks.blocks.layers import Block
from pgseg_core.networks.blocks.text_encoder import end_of_text
from pgseg_core.networks.grouping import PGSeg, grouping
from pgseg_core.npr import e_step, normalise_over_features
from pgseg_core.train.task import TrainTask
from tests.reference.released import (
    TOLERANCE,
    assert_equal,
    numbers,
    parity_path,
    relative,
    tensor,
)

pytestmark = pytest.mark.golden
BOTH = ["PGSeg_A", "GroupViT_A"]


@cache
def checkpoint(name: str) -> Checkpoint:
    return import_checkpoint(str(parity_path(name)))


def fresh(name: str) -> PGSeg:
    """Build the model anew, without drop path, as the reference runs had it."""
    model = checkpoint(f"{name}.pth").build()
    for module in model.modules():
        if isinstance(module, Block):
            module.drop_path_rate = 0.0
    return model


def inputs(name: str) -> Batch:
    return Batch(tensor(f"{name}.npz", "in/image"), tensor(f"{name}.npz", "in/text"))


def assert_encoder(model: PGSeg, batch: Batch, archive: str, prefix: str) -> None:
    """Compare every stage of both encoders with the released numbers."""
    image, text = model.encode_image(batch.images), model.encode_text(batch.tokens)

    def same(ours: Tensor, key: str) -> None:
        assert_equal(ours.detach(), tensor(archive, f"{prefix}/{key}"), key)

    for index, stage in enumerate(image.stages):
        same(stage.queries, f"img.stage{index}.group.pre_assign")
        same(stage.soft[:, None], f"img.stage{index}.group.soft")
        same(stage.hard[:, None], f"img.stage{index}.group.hard")
        same(stage.groups, f"img.stage{index}.group.out")
        if stage.estimate is not None:
            source = tensor(archive, f"{prefix}/img.stage{index}.npr.x")
            after = normalise_over_features(e_step(source, stage.estimate.prototypes))
            same(stage.estimate.prototypes, f"img.stage{index}.npr.mu")
            same(stage.estimate.reconstruct(), f"img.stage{index}.npr.recon_before_map")
            same(after[:, None], f"img.stage{index}.npr.attn_map")
    same(image.tokens, "img.feat")
    same(image.feature, "image_x")
    if f"{prefix}/text.eot" in numbers(archive):
        same(text.pooled, "text.eot")
    same(text.feature, "text_x")
    words = tensor(archive, f"{prefix}/text.ln_final")[:, : text.words.shape[1]]
    end = end_of_text(batch.tokens)[:, None]
    within = torch.arange(words.shape[1]) <= end  # the released code encodes padding too
    assert_equal(text.words.detach()[within], words[within], "text.ln_final")


@pytest.mark.parametrize("name", BOTH)
def test_forward_at_test_time(name):
    model = fresh(name)
    assert_encoder(model, inputs(name), f"{name}.npz", "eval")
    with torch.no_grad():
        groups = model.project_groups(model.encode_image(inputs(name).images).tokens)
    if "eval/image_feat" in numbers(f"{name}.npz"):
        assert_equal(groups, tensor(f"{name}.npz", "eval/image_feat"))


@pytest.mark.parametrize("noise", ["train_nogumbel", "train_gumbel"])
@pytest.mark.parametrize("name", BOTH)
def test_forward_in_training(name, noise, monkeypatch):
    use_noise(monkeypatch, name, noise)
    assert_encoder(fresh(name).train(), inputs(name), f"{name}_train.npz", noise)


@pytest.mark.parametrize("noise", ["train_nogumbel", "train_gumbel"])
@pytest.mark.parametrize("name", BOTH)
def test_losses(name, noise, monkeypatch):
    use_noise(monkeypatch, name, noise)
    archive = f"{name}_train.npz"
    model = fresh(name).train()
    output = TrainTask(model, LocalCollectives())(inputs(name))
    total = tensor(archive, f"{noise}/out.loss")
    if name == "PGSeg_A":
        for ours, theirs in (("i_npr_1", 1), ("i_npr_2", 2), ("t_npr", 3)):
            assert_equal(output.terms[ours], tensor(archive, f"{noise}/lpg.loss{theirs}"), ours)
        total = total + tensor(archive, f"{noise}/out.loss_pg")
        assert set(output.bank_means) == {"text"}, "the released image banks stand still"
        model.move_banks(output.bank_means)
        after = tensor(archive, f"{noise}/buffers_after/text_encoder.Atten.mu")[0]
        assert_equal(model.banks()["text"], after)
    assert_equal(output.loss.detach(), total)


@pytest.mark.parametrize("name", BOTH)
def test_gradients(name, monkeypatch):
    """Every parameter's gradient, where it is more than rounding noise."""
    use_noise(monkeypatch, name, "train_nogumbel")
    model = fresh(name).train()
    TrainTask(model, LocalCollectives())(inputs(name)).loss.backward()
    theirs = imported_gradients(name)
    compared = 0
    for parameter_name, parameter in model.named_parameters():
        reference = theirs[parameter_name].reshape(parameter.shape)
        if reference.norm() < 1e-4:
            assert parameter.grad is None or parameter.grad.norm() < 1e-3, parameter_name
            continue
        assert parameter.grad is not None, parameter_name
        assert relative(parameter.grad, reference) < TOLERANCE, parameter_name
        compared += 1
    assert compared > 150


def test_official_layout_opens_without_its_classes():
    model = fresh("PGSeg_mini_official_full")
    batch = inputs("PGSeg_mini_official_full")
    archive = "PGSeg_mini_official_full.npz"
    with torch.no_grad():
        image, text = model.encode_image(batch.images), model.encode_text(batch.tokens)
        assert_equal(model.project_groups(image.tokens), tensor(archive, "eval/image_feat"))
    assert_equal(image.feature, tensor(archive, "eval/image_x"))
    assert_equal(text.feature, tensor(archive, "eval/text_x"))


def test_transformers_groupvit():
    archive = "hf_groupvit_a.npz"
    model = checkpoint("hf_groupvit_a").build()
    pixels = tensor(archive, "pixel_values")
    with torch.no_grad():
        image = model.encode_image(pixels)
        text = F.normalize(model.encode_text(tensor(archive, "input_ids")).feature, dim=-1)
        groups = F.normalize(model.project_groups(image.tokens), dim=-1)
        scale = model.scale()
    feature = F.normalize(image.feature, dim=-1)
    assert_equal(feature, tensor(archive, "mask/image_embeds"))
    assert_equal(text, tensor(archive, "mask/text_embeds"))
    assert_equal(scale * feature @ text.mT, tensor(archive, "mask/logits_per_image"))
    assert_equal(image.stages[0].soft, tensor(archive, "vision/attn0"))
    assert_equal(image.stages[1].soft, tensor(archive, "vision/attn1"))
    maps = image.group_maps().unflatten(2, image.grid)
    maps = F.interpolate(maps, size=pixels.shape[2:], mode="bilinear", align_corners=False)
    # Theirs multiplies by the scale twice.
    logits = torch.einsum("bgc,bghw->bchw", scale**2 * groups @ text.mT, maps)
    assert_equal(logits, tensor(archive, "mask/segmentation_logits"))


def use_noise(monkeypatch, name: str, noise: str) -> None:
    """Replace the Gumbel noise by the reference run's: none, or the samples it stored."""
    if noise == "train_nogumbel":
        monkeypatch.setattr(grouping, "sample_gumbel", torch.zeros_like)
        return
    stored = [tensor(f"{name}_train.npz", f"train_gumbel/gumbel.stage{i}")[:, 0] for i in (0, 1)]
    monkeypatch.setattr(grouping, "sample_gumbel", lambda _: stored.pop(0))


def imported_gradients(name: str) -> dict[str, Tensor]:
    """Return the reference gradients under our names, through the importer's own renaming."""
    from pgseg_core.checkpoint.naming import move_final_blocks, rename
    from pgseg_core.checkpoint.released import RULES

    archive = numbers(f"{name}_grads.npz")
    plain = {key.removeprefix("grad/"): torch.from_numpy(value) for key, value in archive.items()}
    return move_final_blocks(rename(plain, RULES))
