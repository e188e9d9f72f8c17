"""The losses of a batch: which parameters each term moves, and what forward leaves alone."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from pgseg_core.comm import LocalCollectives
from pgseg_core.config import ModelConfig
from pgseg_core.data.batch import Batch
from pgseg_core.losses import info_nce
from pgseg_core.networks.grouping import PGSeg, build_model
from pgseg_core.train.encoded import join
from pgseg_core.train.task import TrainTask
from tests.tiny import tiny_batch, tiny_model_config


def make_task(**npr: object) -> TrainTask:
    config = tiny_model_config()
    config = replace(config, npr=replace(config.npr, **npr))
    return TrainTask(build_model(config), LocalCollectives()).train()


def gradients(loss: torch.Tensor, model: PGSeg) -> dict[str, float]:
    """The gradient norm of every parameter that the loss reaches."""
    named = dict(model.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
    return {
        name: float(gradient.norm())
        for name, gradient in zip(named, found, strict=True)
        if gradient is not None and gradient.norm() > 0
    }


def text_prototypes(task: TrainTask, batch: Batch):
    encoded = task.encode(batch)
    return task._text_prototypes(encoded, task.model.text_projector(encoded.caption))


def test_total_is_the_weighted_sum():
    task = make_task(weight=0.3, text_weight=0.2)
    output = task(tiny_batch())
    terms = output.terms
    expected = terms["info_nce"] + 0.3 * (
        terms["i_npr_1"] + terms["i_npr_2"] + 0.2 * terms["t_npr"]
    )
    torch.testing.assert_close(output.loss.detach(), expected)


def test_recomputed_blocks_give_the_same_gradients():
    """Noise included: stochastic depth is decided outside of what is repeated."""
    found = []
    for recompute in (False, True):
        config = tiny_model_config()
        config = replace(config, image=replace(config.image, drop_path=0.5))
        task = TrainTask(build_model(config), LocalCollectives()).train()
        task.model.set_blocks(recompute=recompute)
        torch.manual_seed(3)
        task(tiny_batch()).loss.backward()
        found.append([p.grad for p in task.parameters() if p.grad is not None])
    torch.testing.assert_close(found[0], found[1])


def test_multi_label_is_added():
    batch = tiny_batch()
    nouns = batch.tokens[:, None].expand(-1, 2, -1).contiguous()
    output = make_task(weight=0.0)(replace(batch, noun_tokens=nouns))
    total = output.terms["info_nce"] + output.terms["multi_label"]
    torch.testing.assert_close(output.loss.detach(), total)


def test_shared_nouns_know_who_else_has_them():
    batch = tiny_batch()
    count = len(batch.tokens)
    own = torch.arange(count)[:, None]
    batch = replace(
        batch, noun_tokens=batch.tokens[:, None].contiguous(), noun_ids=own, image_nouns=own
    )
    config = replace(tiny_model_config(), shared_nouns=True)
    task = TrainTask(build_model(config), LocalCollectives()).train()
    alone = task(batch).terms["shared_nouns"]
    everybody = task(replace(batch, image_nouns=own.mT.expand(count, -1))).terms["shared_nouns"]
    assert "multi_label" not in task(batch).terms
    assert not torch.isclose(everybody, alone)


def test_group_contrast_is_added_and_reaches_the_group_tokens():
    config = replace(tiny_model_config(), group_contrast=0.5)
    config = replace(config, npr=replace(config.npr, enabled=False))
    task = TrainTask(build_model(config), LocalCollectives()).train()
    output = task(tiny_batch())
    total = output.terms["info_nce"] + 0.5 * output.terms["group_info_nce"]
    torch.testing.assert_close(output.loss.detach(), total)
    assert "image_encoder.stages.0.group_tokens" in gradients(output.loss, task.model)


def test_patch_contrast_is_added_and_is_the_group_contrast_of_lonely_patches():
    config = one_stage(tiny_model_config())
    model = build_model(replace(config, patch_contrast=0.5))
    batch = tiny_batch()
    output = TrainTask(model, LocalCollectives()).train()(batch)
    total = output.terms["info_nce"] + 0.5 * output.terms["patch_info_nce"]
    torch.testing.assert_close(output.loss.detach(), total)
    encoded = TrainTask(model, LocalCollectives()).encode(batch)
    patches = model.project_patches(encoded.patches)
    text = model.text_projector(encoded.caption)
    expected = info_nce(patches, text, model.scale(), LocalCollectives())
    torch.testing.assert_close(output.terms["patch_info_nce"], expected.detach())
    assert "image_encoder.stages.0.grouping.assign.v_proj.weight" in gradients(output.loss, model)


def test_patches_of_a_batch_encoded_in_parts_are_compared_as_one():
    model = build_model(replace(one_stage(tiny_model_config()), patch_contrast=0.5))
    task, batch = TrainTask(model, LocalCollectives()), tiny_batch()
    parts = join([task.encode(part) for part in batch.split(2)])
    whole = deepcopy(task)(batch).loss  # a copy: losses move the projectors' statistics
    torch.testing.assert_close(deepcopy(task)(parts).loss, whole)
    leaves = parts.as_leaves()
    task(leaves).loss.backward()
    assert leaves.patches.grad.abs().sum() > 0
    assert any(leaf is leaves.patches for leaf in leaves.differentiable())


def test_gradients_are_measured_at_the_seam_and_not_behind_it():
    """The same on a batch as on leaves, behind which there is nothing."""
    config = one_stage(tiny_model_config())
    config = replace(config, patch_contrast=0.5, npr=replace(config.npr, enabled=True))
    task = TrainTask(build_model(config), LocalCollectives()).train()
    batch = tiny_batch()
    torch.manual_seed(0)
    encoded = deepcopy(task).encode(batch)
    whole = deepcopy(task)(batch, measure=True).terms
    leaves = deepcopy(task)(encoded.as_leaves(), measure=True).terms
    found = [name for name in whole if name.startswith("grad_")]
    assert "grad_i_npr_1" in found
    assert "grad_patch_info_nce" in found
    for name in found:
        torch.testing.assert_close(whole[name], leaves[name])


def test_patch_contrast_asks_for_patches_that_could_be_groups():
    with pytest.raises(ValueError, match="one grouping stage"):
        replace(tiny_model_config(), patch_contrast=1.0)


def one_stage(config):
    image = replace(config.image, depths=(1, 0), num_groups=(4,), group_residual=False)
    image = replace(image, assign_noise=0.0)
    return replace(config, image=image, npr=replace(config.npr, enabled=False))


def test_groupvit_has_one_term_and_no_banks():
    output = make_task(enabled=False)(tiny_batch())
    assert set(output.terms) == {"info_nce"}
    assert output.bank_means == {}


@pytest.mark.parametrize("source", ["words", "batch"])
def test_text_prototypes_move_the_group_tokens_and_not_the_text(source):
    task = make_task(text_source=source)
    batch = tiny_batch()
    groups, estimate = text_prototypes(task, batch)
    prototypes = estimate.prototypes.expand(len(groups), -1, -1)
    loss = task._paired_loss(task._pair(groups, prototypes)).loss
    moved = gradients(loss, task.model)
    assert "image_encoder.stages.1.group_tokens" in moved
    assert "image_encoder.stages.0.group_tokens" in moved
    assert "prototype_logit_scale" in moved
    assert not any(name.startswith("text_") for name in moved)


def test_image_prototypes_move_the_encoder_and_not_the_projectors():
    task = make_task()
    image = task.model.encode_image(tiny_batch().images)
    stage = image.stages[0]
    moved = gradients(
        task._paired_loss(task._pair(stage.queries, stage.estimate.prototypes)).loss, task.model
    )
    assert "image_encoder.stages.0.group_tokens" in moved
    assert not any("projector" in name or "text" in name for name in moved)
    assert not any(".stages.1." in name for name in moved)


def test_released_text_prototypes_carry_no_gradient_worth_the_name():
    """The cosine of two scalars is +-1 whatever they are (method: defect 4)."""
    task = make_task(variant="released", text_source="channels")
    batch = tiny_batch()
    groups, estimate = text_prototypes(task, batch)
    similarity = torch.nn.functional.normalize(groups, dim=-1)
    assert set(similarity.round(decimals=5).flatten().tolist()) <= {-1.0, 0.0, 1.0}
    assert estimate.prototypes.shape[-1] == 1


def test_padding_and_special_tokens_do_not_reach_the_text_prototypes():
    task = make_task().eval()
    batch = tiny_batch()
    _, estimate = text_prototypes(task, batch)
    shares = estimate.responsibility  # (b, k, t)
    for index, tokens in enumerate(batch.tokens):
        end = int(tokens.argmax())
        inside = shares[index].sum(0)
        assert inside[0] == 0, "the start token"
        assert inside[end:].eq(0).all(), "the end token and the padding"
        torch.testing.assert_close(inside[1:end], torch.ones(end - 1))


def test_image_stages_choose_the_terms():
    assert "i_npr_2" not in make_task(image_stages=(0,))(tiny_batch()).terms
    assert "t_npr" not in make_task(text_source="none")(tiny_batch()).terms


def test_the_matching_changes_the_pairs_and_nothing_else():
    """The pairing of largest total similarity has the smallest prototype losses here."""
    terms = {}
    for matching in ("hungarian", "greedy", "none"):
        task = make_task(matching=matching)
        torch.manual_seed(0)  # of the Gumbel noise
        terms[matching] = task(tiny_batch()).terms
    assert len({float(found["info_nce"]) for found in terms.values()}) == 1
    assert terms["hungarian"]["i_npr_2"] < terms["none"]["i_npr_2"]
    assert terms["greedy"]["i_npr_2"] < terms["none"]["i_npr_2"]


def test_forward_leaves_the_banks_alone_and_the_loop_moves_them():
    task = make_task()
    before = {name: bank.clone() for name, bank in task.model.banks().items()}
    output = task(tiny_batch())
    assert all(bank.equal(before[name]) for name, bank in task.model.banks().items())
    task.model.move_banks(output.bank_means)
    for name, bank in task.model.banks().items():
        expected = 0.9 * before[name] + 0.1 * output.bank_means[name]
        torch.testing.assert_close(bank, expected)
    assert set(before) == {"image.0", "image.1", "text"}


def test_forward_at_test_time_is_pure():
    model = make_task().model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = tiny_batch()
    with torch.no_grad():
        first = model.encode_image(batch.images).feature
        second = model.encode_image(batch.images).feature
    assert first.equal(second)
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("depths", "groups"), [((1, 0), (3,)), ((1, 1, 1), (6, 2)), ((1, 1, 1, 0), (8, 4, 2))]
)
def test_any_number_of_stages_and_groups(depths, groups):
    base = tiny_model_config()
    config: ModelConfig = replace(base, image=replace(base.image, depths=depths, num_groups=groups))
    task = TrainTask(build_model(config), LocalCollectives()).train()
    output = task(tiny_batch())
    output.loss.backward()
    assert output.loss.isfinite()
    assert f"i_npr_{len(groups)}" in output.terms


def test_oblong_and_larger_images_at_test_time():
    model = build_model(tiny_model_config()).eval()
    with torch.no_grad():
        output = model.encode_image(torch.randn(1, 3, 48, 80))
    assert output.grid == (6, 10)
    assert output.group_maps().shape == (1, 4, 60)
    torch.testing.assert_close(output.group_maps().sum(1), torch.ones(1, 60))


def test_trimming_the_padding_changes_nothing():
    model = build_model(tiny_model_config()).eval()
    batch: Batch = tiny_batch()
    longer = torch.nn.functional.pad(batch.tokens, (0, 4))
    with torch.no_grad():
        short, long = model.encode_text(batch.tokens), model.encode_text(longer)
    assert short.feature.equal(long.feature)


def test_a_share_of_the_patches_is_drawn_in_training_alone():
    config = replace(one_stage(tiny_model_config()), patch_contrast=0.5, contrasted_patches=0.25)
    task, batch = TrainTask(build_model(config), LocalCollectives()), tiny_batch()
    seen = task.model.image_encoder(batch.images).stages[0].patches
    assert task.eval().encode(batch).patches.equal(seen)
    drawn = [task.train().encode(batch).patches for _ in range(2)]
    assert not drawn[0].equal(drawn[1])
    for patches in drawn:
        assert patches.shape[1] == round(seen.shape[1] / 4)
        found = (patches[:, :, None] == seen[:, None]).all(dim=-1)  # (b, drawn, n)
        assert found.any(dim=2).all(), "every one is a patch of its own image"
        assert found.sum(dim=1).max() == 1, "none is drawn twice"
