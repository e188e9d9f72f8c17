"""The segmenter's promises: the same pixels in any company, readings averaged, choices checked."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pgseg_core.config import InferenceConfig
from pgseg_core.errors import CheckpointError, ConfigError
from pgseg_core.inference.explain import explain
from pgseg_core.inference.options import Choices, SegmentOptions
from pgseg_core.inference.scoring import region_scores
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.inference.suggest import Suggester
from pgseg_core.methods.groups import GroupsMethod, shared_by_alike
from pgseg_core.methods.method import PatchGrid, Regions, Rule
from pgseg_core.networks.grouping import build_model
from pgseg_core.weights import Recommended
from tests.tiny import scores_of, segmenter_of, tiny_config, tiny_model_config

READING = InferenceConfig(short_side=48, long_side=96, window=32, stride=16)
CLASSES = ["sky", "road", "dog", "tree"]
MANY = [*CLASSES, "cat", "car", "sea", "sand", "snow", "wall", "boat", "bird", "horse", "person"]


class FullBatches(GroupsMethod):
    """A method that wants six windows a call, as one on a GPU would."""

    windows_at_once = 6

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.calls: list[int] = []

    def regions(self, windows: np.ndarray) -> Regions:
        self.calls.append(len(windows))
        return super().regions(windows)


def photo(seed: int, width: int = 60, height: int = 44) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return segmenter_of(build_model(tiny_model_config()), READING)


PHOTOS = [photo(0), photo(1, 30, 90), photo(2, 200, 20), photo(3, 1, 1), photo(4)]


def by_groups(segmenter: Segmenter) -> Segmenter:
    rule = replace(segmenter.reading.rule, top_k_by="groups")
    return segmenter.read_as(replace(segmenter.reading, rule=rule))


def test_candidates_are_asked_of_the_image_or_of_its_groups(segmenter):
    """The option reaches the scores: each window shows the classes its best group is nearest to."""
    pixels = torch.randn(3, 48, 64, generator=torch.Generator().manual_seed(1))
    bank, field = segmenter.embed_classes(MANY), segmenter.region_field(pixels.numpy())
    scale = segmenter.method.scale()
    tables = {
        chosen: region_scores(
            field.vectors, field.windows, bank.vectors, scale, Rule(top_k=1, top_k_by=chosen)
        )
        for chosen in ("image", "groups")
    }
    assert not tables["image"].equal(tables["groups"])
    for chosen, one in {"image": segmenter, "groups": by_groups(segmenter)}.items():
        found = scores_of(one, pixels, bank, threshold=None, top_k=1)
        expected = field.scored(tables[chosen], found.decision).class_maps()
        np.testing.assert_allclose(found.class_maps(), expected, atol=1e-6)


def test_explain_ranks_by_what_chooses_the_candidates(segmenter):
    bank, options = segmenter.embed_classes(CLASSES), SegmentOptions(top_k=1)
    words = ("for the photo as a whole", "by its best group")
    for one, ranked in zip((segmenter, by_groups(segmenter)), words, strict=True):
        reasons = explain(one, PHOTOS[0], bank, options)
        outside = [reason for reason in reasons if reason.windows == 0]
        assert outside
        for reason in outside:
            assert reason.rank > 1
            assert reason.share == 0
            assert ranked in reason.reason


def test_explaining_encodes_a_photo_once():
    method = FullBatches(build_model(tiny_model_config()), READING)
    segmenter = Segmenter(method)
    bank = segmenter.embed_classes(MANY)
    next(segmenter.stream([PHOTOS[0]], bank))
    once = list(method.calls)
    explain(segmenter, PHOTOS[0], Suggester(bank, 3), SegmentOptions(background=True))
    assert method.calls == once * 2


def test_weights_of_a_smaller_vocabulary_are_refused():
    config = tiny_model_config()
    few = replace(config, text=replace(config.text, vocab_size=300))
    with pytest.raises(CheckpointError, match="read 300 byte pairs"):
        segmenter_of(build_model(few), READING).embed_classes(["sky", "road"])


@pytest.mark.parametrize("full", [False, True])
def test_a_photo_does_not_notice_its_company(segmenter, full):
    if full:
        method = FullBatches(segmenter.method.network, READING)
        segmenter = Segmenter(method)
    together = segmenter.segment(PHOTOS, CLASSES, background=True)
    for alone, among in zip(PHOTOS, together, strict=True):
        found = segmenter.segment(alone, CLASSES, background=True)
        assert found.labels.shape == alone.size[::-1]
        np.testing.assert_array_equal(found.labels, among.labels)
        assert (found.pixels, found.scores) == (among.pixels, among.scores)
    if full:
        assert set(method.calls) == {6}


def test_labels_are_the_best_of_the_field(segmenter):
    found = segmenter.segment(PHOTOS[0], CLASSES, background=True, threshold=0.3)
    scores = found.field.scores(size=found.labels.shape)
    np.testing.assert_array_equal(found.labels, scores.argmax(0).numpy())
    assert found.pixels == tuple(np.bincount(found.labels.ravel(), minlength=5).tolist())
    assert sum(found.shares) == pytest.approx(1)


def test_with_flip_the_mirror_image_gives_the_mirror_labels(segmenter):
    mirrored = PHOTOS[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    maps = segmenter.segment(PHOTOS[0], CLASSES, flip=True).field.class_maps()
    other = segmenter.segment(mirrored, CLASSES, flip=True).field.class_maps()
    np.testing.assert_allclose(other, maps[:, :, ::-1], atol=1e-5)


def test_scales_are_averaged_at_the_nearest_to_one(segmenter):
    both = segmenter.segment(PHOTOS[0], CLASSES, scales=(2, 1)).field.class_maps()
    sizes = [
        torch.from_numpy(segmenter.segment(PHOTOS[0], CLASSES, size=size).field.class_maps())
        for size in (48, 96)
    ]
    large = F.interpolate(sizes[1][None], size=both.shape[1:], mode="bilinear")[0]
    torch.testing.assert_close(torch.from_numpy(both), (sizes[0] + large) / 2)
    assert sizes[1].shape[1:] == (96, 131)


def test_refinement_is_done_at_the_size_it_was_read_at(segmenter):
    plain = segmenter.segment(PHOTOS[0], CLASSES).field.class_maps()
    refined = segmenter.segment(PHOTOS[0], CLASSES, refine="pamr").field.class_maps()
    assert refined.shape == plain.shape
    assert not np.array_equal(refined, plain)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"threshold": 1.5}, "threshold 1.5"),
        ({"top_k": 0}, "top-k 0"),
        ({"refine": "parm"}, "Did you mean pamr?"),
        ({"scales": ()}, "scales ''"),
        ({"scales": (1.0, float("nan"))}, "scales '1,nan'"),
        ({"size": 5}, "size 5"),
    ],
)
def test_a_choice_out_of_range_is_refused(segmenter, choices, words):
    with pytest.raises(ConfigError) as refused:
        segmenter.segment(PHOTOS[0], CLASSES, **choices)
    assert words in str(refused.value)


def test_classes_in_one_text_are_not_its_letters(segmenter):
    assert segmenter.segment(PHOTOS[3], "sky, road").names == ("sky", "road")
    assert len(segmenter.segment(PHOTOS[3], "voc12").names) == 20


def test_keywords_are_the_options():
    fields = [field.name for field in dataclasses.fields(SegmentOptions)]
    assert list(Choices.__annotations__) == fields


@pytest.mark.parametrize(
    "choices", [{}, {"flip": True, "scales": (1, 1.5)}, {"refine": "pamr"}, {"top_k": 2}]
)
@pytest.mark.parametrize("threshold", [0.0, 0.2])
def test_background_words_are_classes_that_answer_as_background(segmenter, choices, threshold):
    words = ["grass", "wall", "water"]
    options = {"background": True, "threshold": threshold, **choices}
    among = segmenter.segment(PHOTOS, [*CLASSES, *words], **options)
    apart = segmenter.segment(PHOTOS, CLASSES, background_words=words, **options)
    for classes, background in zip(among, apart, strict=True):
        expected = np.where(classes.labels > len(CLASSES), 0, classes.labels)
        np.testing.assert_array_equal(background.labels, expected)
        assert background.names == ("background", *CLASSES)
        assert sum(background.pixels) == background.labels.size
        assert len(background.field.class_maps()) == len(CLASSES) + 1
    if threshold == 0:
        assert any((found.labels > len(CLASSES)).any() for found in among)


def test_a_word_that_is_a_class_is_left_out(segmenter):
    plain = segmenter.segment(PHOTOS[0], CLASSES, background=True, threshold=0.2)
    same = segmenter.segment(
        PHOTOS[0], CLASSES, background=True, threshold=0.2, background_words=["Sky", "road"]
    )
    np.testing.assert_array_equal(plain.labels, same.labels)
    assert len(plain.field.decision.classes) == len(same.field.decision.classes)


def test_what_weights_recommend_is_taken_where_background_is_asked_for(segmenter):
    card = Recommended(background=0.2, background_words="stuff")
    advised = Segmenter(segmenter.method, recommended=card)
    bank = advised.embed_classes(CLASSES)
    found = advised.segment(PHOTOS[0], bank, background=True)
    expected = segmenter.segment(
        PHOTOS[0], CLASSES, background=True, threshold=0.2, background_words="stuff"
    )
    np.testing.assert_array_equal(found.labels, expected.labels)
    own = advised.segment(PHOTOS[0], bank, background=True, threshold=0.95, background_words="none")
    plain = segmenter.segment(PHOTOS[0], CLASSES, background=True)
    np.testing.assert_array_equal(own.labels, plain.labels)
    without = advised.segment(PHOTOS[0], bank)
    assert (without.names, len(without.field.decision.classes)) == (tuple(CLASSES), len(CLASSES))
    np.testing.assert_array_equal(without.labels, segmenter.segment(PHOTOS[0], CLASSES).labels)
    again = advised.read_as(advised.reading).segment(PHOTOS[0], bank, background=True)
    np.testing.assert_array_equal(again.labels, found.labels)


def test_patches_answer_for_themselves_where_they_have_a_share():
    """A share of 0 is the protocol; at 1 each patch is named by its own vector alone."""
    config = tiny_model_config()
    image = replace(config.image, depths=(1, 0), num_groups=(4,), group_residual=False)
    model = build_model(replace(config, image=image))
    pixels = np.random.default_rng(0).normal(size=(3, 32, 48)).astype(np.float32)
    groups = segmenter_of(model, READING).region_field(pixels)
    field = segmenter_of(model, replace(READING, patch_share=1.0)).region_field(pixels)
    assert groups.vectors.shape[1] == 4
    assert isinstance(field.place, PatchGrid)
    assert field.vectors.shape[1] == field.place.rows * field.place.columns
    window = torch.from_numpy(pixels[(slice(None), *field.boxes[0].place)])
    with torch.no_grad():
        output = model.eval().encode_image(window[None])
        own = F.normalize(model.project_patches(output.stages[0].patches), dim=-1)[0]
    torch.testing.assert_close(field.vectors[0], own)
    alike = replace(READING, patch_share=1.0, patch_affinity=0.1)
    shared = segmenter_of(model, alike).region_field(pixels).vectors[0]
    looks = output.stages[0].patches
    torch.testing.assert_close(shared, shared_by_alike(own[None], looks, 0.1)[0])
    two = replace(READING, patch_share=0.5)
    with pytest.raises(ValueError, match="that takes one"):
        replace(tiny_config(), inference=two)
    with pytest.raises(ValueError, match="set both or neither"):
        replace(tiny_config(), inference=replace(READING, patch_affinity=0.1))
