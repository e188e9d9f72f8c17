"""The segmenter's promises: the same pixels in any company, readings averaged, choices checked."""

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pgseg_core.config import InferenceConfig
from pgseg_core.errors import CheckpointError, ConfigError
from pgseg_core.inference.encoders import TorchEncoders, WindowOutput
from pgseg_core.inference.explain import explain
from pgseg_core.inference.options import Choices, SegmentOptions
from pgseg_core.inference.scoring import class_scores, shared_by_alike
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.networks.grouping import build_model
from pgseg_core.weights import Recommended
from tests.tiny import tiny_config, tiny_model_config

READING = InferenceConfig(short_side=48, long_side=96, window=32, stride=16)
CLASSES = ["sky", "road", "dog", "tree"]
MANY = [*CLASSES, "cat", "car", "sea", "sand", "snow", "wall", "boat", "bird", "horse", "person"]


class FullBatches(TorchEncoders):
    """An engine that wants six windows a call, as one on a GPU would."""

    windows_at_once = 6

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.calls: list[int] = []

    def encode_windows(self, windows: torch.Tensor, *, patches: bool = False) -> WindowOutput:
        self.calls.append(len(windows))
        return super().encode_windows(windows, patches=patches)


def photo(seed: int, width: int = 60, height: int = 44) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(build_model(tiny_model_config()), READING)


PHOTOS = [photo(0), photo(1, 30, 90), photo(2, 200, 20), photo(3, 1, 1), photo(4)]


def test_candidates_are_asked_of_the_image_or_of_its_groups(segmenter):
    """The option reaches the scores: each window shows the classes its best group is nearest to."""
    by_groups = segmenter.reading(replace(READING, candidates="groups"))
    pixels = torch.randn(3, 48, 64, generator=torch.Generator().manual_seed(1))
    bank, field = segmenter.embed_classes(MANY), segmenter.group_field(pixels)
    tables = {
        candidates: class_scores(
            field.groups, field.images, bank.vectors, segmenter.encoders.scale(),
            top_k=1, candidates=candidates,
        )
        for candidates in ("image", "groups")
    }  # fmt: skip
    assert not tables["image"].equal(tables["groups"])
    for candidates, one in {"image": segmenter, "groups": by_groups}.items():
        expected = field.scored(tables[candidates]).folded().maps
        found = one.score_field(pixels, bank, threshold=None, top_k=1).folded().maps
        torch.testing.assert_close(found, expected)


def test_explain_ranks_by_what_chooses_the_candidates(segmenter):
    by_groups = segmenter.reading(replace(READING, candidates="groups"))
    bank, options = segmenter.embed_classes(CLASSES), SegmentOptions(top_k=1)
    for one, words in ((segmenter, "for the photo as a whole"), (by_groups, "by its best group")):
        reasons = explain(one, PHOTOS[0], bank, options)
        outside = [reason for reason in reasons if reason.windows == 0]
        assert outside
        for reason in outside:
            assert reason.rank > 1
            assert reason.share == 0
            assert words in reason.reason


def test_weights_of_a_smaller_vocabulary_are_refused():
    config = tiny_model_config()
    few = replace(config, text=replace(config.text, vocab_size=300))
    with pytest.raises(CheckpointError, match="read 300 byte pairs"):
        Segmenter(build_model(few), READING).embed_classes(["sky", "road"])


@pytest.mark.parametrize("full", [False, True])
def test_a_photo_does_not_notice_its_company(segmenter, full):
    if full:
        encoders = FullBatches(segmenter.model, torch.device("cpu"))
        segmenter = Segmenter(segmenter.model, READING, encoders=encoders)
    together = segmenter.segment(PHOTOS, CLASSES, background=True)
    for alone, among in zip(PHOTOS, together, strict=True):
        found = segmenter.segment(alone, CLASSES, background=True)
        assert found.labels.shape == alone.size[::-1]
        np.testing.assert_array_equal(found.labels, among.labels)
        assert (found.pixels, found.scores) == (among.pixels, among.scores)
    if full:
        assert set(encoders.calls) == {6}


def test_labels_are_the_best_of_the_field(segmenter):
    found = segmenter.segment(PHOTOS[0], CLASSES, background=True, threshold=0.3)
    scores = found.field.scores(size=found.labels.shape)
    np.testing.assert_array_equal(found.labels, scores.argmax(0).numpy())
    assert found.pixels == tuple(np.bincount(found.labels.ravel(), minlength=5).tolist())
    assert sum(found.shares) == pytest.approx(1)


def test_with_flip_the_mirror_image_gives_the_mirror_labels(segmenter):
    mirrored = PHOTOS[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    field = segmenter.segment(PHOTOS[0], CLASSES, flip=True).field
    other = segmenter.segment(mirrored, CLASSES, flip=True).field
    torch.testing.assert_close(other.maps, field.maps.flip(-1), atol=1e-5, rtol=1e-5)


def test_scales_are_averaged_at_the_nearest_to_one(segmenter):
    both = segmenter.segment(PHOTOS[0], CLASSES, scales=(2, 1)).field
    sizes = [segmenter.segment(PHOTOS[0], CLASSES, size=size).field for size in (48, 96)]
    large = torch.nn.functional.interpolate(
        sizes[1].folded().maps[None], size=both.maps.shape[1:], mode="bilinear"
    )[0]
    torch.testing.assert_close(both.maps, (sizes[0].folded().maps + large) / 2)
    assert sizes[1].maps.shape[1:] == (96, 131)


def test_refinement_is_done_at_the_size_it_was_read_at(segmenter):
    plain = segmenter.segment(PHOTOS[0], CLASSES).field
    refined = segmenter.segment(PHOTOS[0], CLASSES, refine="pamr").field
    assert refined.maps.shape == plain.maps.shape
    assert not torch.equal(refined.maps, plain.maps)


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
    assert plain.field.num_columns == same.field.num_columns


def test_what_weights_recommend_is_taken_where_background_is_asked_for(segmenter):
    card = Recommended(background=0.2, background_words="stuff")
    advised = Segmenter(segmenter.model, READING, recommended=card)
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
    assert (without.names, without.field.stand_ins) == (tuple(CLASSES), 0)
    np.testing.assert_array_equal(without.labels, segmenter.segment(PHOTOS[0], CLASSES).labels)
    again = advised.reading(READING).segment(PHOTOS[0], bank, background=True)
    np.testing.assert_array_equal(again.labels, found.labels)


def test_patches_answer_for_themselves_where_they_have_a_share():
    """A share of 0 is the protocol; at 1 each patch is named by its own vector alone."""
    config = tiny_model_config()
    image = replace(config.image, depths=(1, 0), num_groups=(4,), group_residual=False)
    model = build_model(replace(config, image=image))
    pixels = torch.randn(3, 32, 48)
    by_groups = Segmenter(model, READING).group_field(pixels)
    field = Segmenter(model, replace(READING, patch_share=1.0)).group_field(pixels)
    assert by_groups.groups.shape[1] == 4
    assert field.groups.shape[1] == math.prod(field.pixels.grid)
    box = field.boxes[0]
    with torch.no_grad():
        output = model.eval().encode_image(
            pixels[None, :, box.top : box.bottom, box.left : box.right]
        )
        own = F.normalize(model.project_patches(output.stages[0].patches), dim=-1)[0]
    torch.testing.assert_close(field.groups[0], own)
    alike = replace(READING, patch_share=1.0, patch_affinity=0.1)
    shared = Segmenter(model, alike).group_field(pixels).groups[0]
    looks = output.stages[0].patches
    torch.testing.assert_close(shared, shared_by_alike(own[None], looks, 0.1)[0])
    two = replace(READING, patch_share=0.5)
    with pytest.raises(ValueError, match="that takes one"):
        replace(tiny_config(), inference=two)
    with pytest.raises(ValueError, match="set both or neither"):
        replace(tiny_config(), inference=replace(READING, patch_affinity=0.1))
