"""The grouping block: what the assignment's scale does to maps of one stage and of two."""

from dataclasses import replace

import torch

from pgseg_core.networks.grouping import build_model
from pgseg_core.networks.grouping.grouping import Assign
from tests.tiny import tiny_batch, tiny_model_config


def encode(scale: float, **options):
    config = tiny_model_config()
    config = replace(config, image=replace(config.image, assign_scale=scale, **options))
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


def test_standardised_logits_have_no_favourite_group_and_the_spread_of_the_scale():
    """Read off the soft maps: log-softmax is the logits but for a constant of each patch."""
    soft = encode(3.0, assign_standardised=True).stages[0].soft.double()
    logits = soft.log()
    logits = logits - logits.mean(dim=1, keepdim=True)
    over_patches = logits - logits.mean(dim=2, keepdim=True)
    torch.testing.assert_close(over_patches, logits, rtol=0, atol=1e-5)
    assert 0 < float(over_patches.square().mean().sqrt()) <= 3.0


def test_an_image_of_one_colour_is_no_division_by_nothing():
    config = tiny_model_config()
    image = replace(config.image, assign_standardised=True, assign_scale=3.0)
    with torch.no_grad():
        model = build_model(replace(config, image=image)).eval()
        model.image_encoder.position.weight.zero_()
        output = model.encode_image(torch.zeros(1, 3, 32, 32))
    assert output.feature.isfinite().all()


def test_an_empty_group_takes_the_mean_of_the_others():
    """Against a loop over groups, at a start where some of them gather nothing."""
    config = tiny_model_config()
    image = replace(config.image, depths=(1, 0), num_groups=(6,), group_residual=False)
    encoded = {}
    for fill in (False, True):
        torch.manual_seed(0)
        model = build_model(replace(config, image=replace(image, fill_empty=fill))).eval()
        with torch.no_grad():
            encoded[fill] = model.encode_image(tiny_batch().images)
    used = encoded[True].stages[0].hard.sum(dim=2) > 0
    assert 0 < used.sum() < used.numel(), "some groups are empty, others are not"
    for row, (before, after) in enumerate(
        zip(encoded[False].tokens, encoded[True].tokens, strict=True)
    ):
        mean = before[used[row]].mean(dim=0)
        for group in range(6):
            expected = before[group] if used[row, group] else mean
            torch.testing.assert_close(after[group], expected)
        torch.testing.assert_close(after.mean(dim=0), mean)


def test_noise_fades_from_what_the_model_starts_with():
    config = tiny_model_config()
    model = build_model(replace(config, image=replace(config.image, assign_noise=0.5)))
    model.fade_noise(0.5)
    assert [m.noise for m in model.modules() if isinstance(m, Assign)] == [0.25, 0.25]


def test_without_noise_training_groups_as_the_test_does():
    """And with the published noise it does not."""

    def hard(noise: float, *, training: bool) -> torch.Tensor:
        config = tiny_model_config()
        image = replace(config.image, assign_noise=noise)
        plain = replace(config, image=image, npr=replace(config.npr, enabled=False))
        model = build_model(plain).train(training)
        with torch.no_grad():
            return model.encode_image(tiny_batch().images).stages[0].hard.argmax(dim=1)

    assert hard(0.0, training=True).equal(hard(0.0, training=False))
    assert not hard(1.0, training=True).equal(hard(1.0, training=False))
