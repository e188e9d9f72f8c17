"""The grouping block: what the assignment's scale does to maps of one stage and of two."""

from dataclasses import replace

import torch

from pgseg_core.model import build_model
from tests.tiny import tiny_batch, tiny_model_config


def encode(scale: float):
    config = tiny_model_config()
    config = replace(config, image=replace(config.image, assign_scale=scale))
    with torch.no_grad():
        return build_model(config).eval().encode_image(tiny_batch().images)


def test_the_scale_multiplies_the_logits():
    """A softmax of twice the logits is the softmax squared and normalised."""
    once, twice = (encode(scale).stages[0].soft for scale in (1.0, 2.0))
    squared = once**2
    torch.testing.assert_close(twice, squared / squared.sum(dim=1, keepdim=True))


def test_hard_choices_of_the_first_stage_do_not_depend_on_it():
    flat, sharp = (encode(scale).stages[0].hard.argmax(dim=1) for scale in (1.0, 50.0))
    assert flat.equal(sharp)


def test_two_flat_stages_give_an_image_to_one_group_and_sharp_ones_do_not():
    """Flat maps multiplied: every patch's best group is the one that stage 2 likes best overall."""

    def groups_used(scale: float) -> list[int]:
        return [len(image.unique()) for image in encode(scale).group_maps().argmax(dim=1)]

    assert set(groups_used(0.1)) == {1}
    assert sum(groups_used(100.0)) > sum(groups_used(0.1))
