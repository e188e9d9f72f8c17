"""Names from the stem's classifier: where a run starts, and what its groups are taught."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from pgseg_core.checkpoint import Classifier
from pgseg_core.comm import LocalCollectives
from pgseg_core.config import Config, parse_config
from pgseg_core.errors import ConfigError
from pgseg_core.networks.grouping import build_model
from pgseg_core.text.imagenet import imagenet_names
from pgseg_core.text.tokenizer import Tokenizer
from pgseg_core.train.run import find_teacher
from pgseg_core.train.start import place_words, start_from_names, start_weights
from pgseg_core.train.task import TrainTask
from pgseg_core.train.teacher import NameTeacher, TaughtNames, taught_names_loss
from tests.tiny import MODEL, tiny_batch


def config_with_names(width: int = 32) -> Config:
    model = {
        **MODEL,
        "image": {
            **MODEL["image"],
            "stem": "lite0",
            "patch_size": 16,
            "width": width,
            "depths": [0, 0],
            "num_groups": [4],
            "group_residual": False,
        },
        "text": {"context_length": 16, "width": width, "depth": 0, "num_heads": 2, "pool": "bag"},
        "joint_width": width,
        "projector": "residual",
        "stem_names": 0.5,
    }
    return parse_config({"model": model}, origin="names")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    generator = torch.Generator().manual_seed(1)
    return Classifier(
        torch.randn(1000, 1280, generator=generator) * 0.05,
        torch.randn(1000, generator=generator) * 0.1,
    )


def test_words_are_placed_where_names_are():
    """Against the primal form of ridge regression, on names that share words."""
    names = torch.tensor(
        [[49406, 5, 7, 49407, 0], [49406, 7, 49407, 0, 0], [49406, 9, 9, 5, 49407]]
    )
    places = torch.randn(3, 4, dtype=torch.float64).float()
    words = place_words(names, places, vocabulary=12)
    share = torch.zeros(3, 12)
    share[0, [5, 7]] = 0.5
    share[1, 7] = 1.0
    share[2, 9], share[2, 5] = 2 / 3, 1 / 3
    expected = torch.linalg.solve(share.mT @ share + 0.03 * torch.eye(12), share.mT @ places)
    torch.testing.assert_close(words, expected, rtol=1e-4, atol=1e-5)
    assert (words[[0, 1, 2, 3, 4, 6, 8, 10, 11]] == 0).all()


def test_the_start_orders_names_as_the_classifier_does(classifier):
    """With as many directions as there are, a group's best names are the classifier's."""
    config = config_with_names(width=1000).model
    model = build_model(config).eval()
    start_from_names(model, classifier)
    stem = model.image_encoder.stem
    features = torch.rand(50, 1280)
    seen = features @ stem.proj_coarse.weight.mT
    prompts = Tokenizer(16)([f"{name}" for name in imagenet_names()])
    with torch.no_grad():
        words = F.normalize(model.encode_text(prompts).pooled, dim=-1)
    rows = classifier.weight - classifier.weight.mean(dim=0)
    by_words = (F.normalize(seen, dim=-1) @ words.mT).argsort(dim=1, descending=True)
    best = (features @ F.normalize(rows, dim=1).mT).argmax(dim=1)
    rank = (by_words == best[:, None]).float().argmax(dim=1)
    assert rank.float().median() < 20  # of 1,000; names share words, so not always 0


def test_groups_start_as_the_means_of_their_patches(classifier):
    model = build_model(config_with_names().model).eval()
    start_from_names(model, classifier)
    output = model.encode_image(torch.randn(2, 3, 64, 64))
    stage = output.stages[0]
    share = stage.hard / (stage.hard.sum(dim=2, keepdim=True) + 1)
    torch.testing.assert_close(stage.groups, share @ stage.patches, rtol=1e-4, atol=1e-5)
    expected = model.image_encoder.norm(stage.groups)
    torch.testing.assert_close(model.project_groups(output.tokens), expected, rtol=1e-4, atol=1e-5)


def test_the_teacher_names_each_group_by_its_own_patches(classifier):
    teacher = NameTeacher(classifier, context_length=16)
    features = torch.rand(1, 1280, 2, 3)
    hard = torch.zeros(1, 3, 4 * 6)  # two patches a side for each cell
    left = (torch.arange(24) % 6) < 2
    hard[0, 0, left], hard[0, 1, ~left] = 1, 1
    taught = teacher(features, hard, (4, 6))
    for group, columns in ((0, slice(0, 1)), (1, slice(1, 3))):
        mean = features[0, :, :, columns].mean(dim=(1, 2))
        expected = (classifier.weight @ mean + classifier.bias).softmax(dim=0)
        torch.testing.assert_close(taught.share[0, group], expected)
    torch.testing.assert_close(taught.weight[0], torch.tensor([1 / 3, 2 / 3, 0.0]))


def test_taught_names_loss_is_a_divergence():
    torch.manual_seed(0)
    groups, names = torch.randn(2, 3, 5), torch.randn(7, 5)
    scale = torch.tensor(4.0)
    logits = 4 * F.normalize(groups, dim=-1) @ F.normalize(names, dim=-1).mT
    own = TaughtNames(share=logits.softmax(dim=-1), weight=torch.full((2, 3), 1 / 3))
    assert taught_names_loss(groups, names, own, scale).abs() < 1e-6
    share, weight = torch.rand(2, 3, 7).softmax(dim=-1), torch.rand(2, 3)
    expected = 0.0
    for image in range(2):
        for group in range(3):
            own_share, called = share[image, group], logits[image, group].softmax(dim=0)
            divergence = (own_share * (own_share / called).log()).sum()
            expected += float(weight[image, group] * divergence) / 2
    found = taught_names_loss(groups, names, TaughtNames(share, weight), scale)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_term_moves_words_and_groups_and_counts_by_its_weight(classifier):
    config = config_with_names().model
    model = build_model(config)
    task = TrainTask(model, LocalCollectives(), NameTeacher(classifier, 16)).train()
    batch = replace(tiny_batch(), images=torch.randn(6, 3, 64, 64))
    plain = TrainTask(model, LocalCollectives()).train()
    torch.manual_seed(0)  # of the assignment's noise
    output = task(batch)
    torch.manual_seed(0)
    without = plain(batch)
    assert "stem_names" not in without.terms
    term = output.terms["stem_names"]
    assert term > 0
    torch.testing.assert_close(output.loss.detach(), without.loss.detach() + 0.5 * term)
    encoded = task.encode(batch)
    called = model.encode_text(task.teacher.prompts).feature
    groups = model.project_groups(encoded.groups)
    term = taught_names_loss(groups, called, encoded.taught, model.scale())
    moved = (model.text_encoder.token.weight, model.image_projector.mlp.fc2.weight)
    assert all(gradient.norm() > 0 for gradient in torch.autograd.grad(term, moved))
    assert not any("teacher" in name for name in model.state_dict())


def test_what_cannot_start_from_names_is_refused(classifier):
    config = config_with_names()
    with pytest.raises(ConfigError, match="start_names is about the classes of"):
        start_weights(build_model(config.model), replace(config.train, start_names=True))
    other = replace(config.model, projector="mlp")
    with pytest.raises(ConfigError, match="residual projectors, a bag of words and one width"):
        start_from_names(build_model(other), classifier)
    with pytest.raises(ConfigError, match="only 1000 directions"):
        start_from_names(build_model(config_with_names(width=1024).model), classifier)
    with pytest.raises(ConfigError, match=r"asks the classifier of train\.stem_weights"):
        find_teacher(config)
    train = replace(config.train, stem_weights="imagenet", grad_cache=True)
    with pytest.raises(ConfigError, match=r"does not go with train\.grad_cache"):
        find_teacher(replace(config, train=train))
    with pytest.raises(ValueError, match="stem patch knows no names"):
        replace(config.model, image=replace(config.model.image, stem="patch"))
