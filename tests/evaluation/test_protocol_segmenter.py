"""Each protocol's way from a photo to labels, against the protocol written as plain steps."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pgseg_core.config import InferenceConfig
from pgseg_core.evaluation.protocol_segmenter import ProtocolSegmenter, protocol_reading
from pgseg_core.evaluation.protocols import Protocol, load_protocol
from pgseg_core.evaluation.resolve import Question
from pgseg_core.inference.preprocess import size_photo
from pgseg_core.inference.refine import pamr
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.networks.grouping.build import build_model
from pgseg_core.text.background import BackgroundWords
from pgseg_core.text.templates import fill_templates, load_templates
from pgseg_core.text.vocabulary import ClassName, Vocabulary
from tests.data.conftest import random_image
from tests.tiny import segmenter_of, tiny_model_config

NAMES = ("background", "cat", "dog", "grass")
PHOTO = random_image(3, 70, 45)


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return segmenter_of(build_model(tiny_model_config()), InferenceConfig(window=32, stride=16))


def small(name: str) -> Protocol:
    return replace(load_protocol(name), short_side=32, window=32, stride=16)


def question(protocol: Protocol, *words: tuple[str, ...], background: bool = True) -> Question:
    return Question(
        class_names=NAMES if background else NAMES[1:],
        wordings=words,
        has_background=background,
        threshold=0.5,
        threshold_from="test",
        templates="simple",
        logit_scale=protocol.logit_scale,
    )


WORDS = (("cat", "kitten"), ("dog",), ("grass", "lawn", "meadow"))


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.34, 0.6, 0.95])
def test_groupvit_is_what_segment_does(segmenter, threshold):
    protocol = small("groupvit")
    reader = ProtocolSegmenter(segmenter, protocol, question(protocol, (), *WORDS))
    labels = reader.read(PHOTO, [threshold])
    assert labels.shape == (1, PHOTO.height, PHOTO.width)
    same = under(segmenter, protocol)
    vocabulary = Vocabulary(tuple(map(ClassName, NAMES[1:], WORDS)))
    expected = same.segment(PHOTO, same.embed_classes(vocabulary), background=True,
                            threshold=threshold)  # fmt: skip
    assert labels[0].equal(torch.from_numpy(expected.labels))
    plain = ProtocolSegmenter(segmenter, protocol, question(protocol, *WORDS, background=False))
    without = same.segment(PHOTO, same.embed_classes(vocabulary)).labels
    assert plain.read(PHOTO, [None])[0].equal(torch.from_numpy(without))
    assert reader.read(PHOTO, [None])[0].equal(torch.from_numpy(without) + 1)


def under(segmenter: Segmenter, protocol: Protocol) -> Segmenter:
    """Read as a protocol does, with the model's own rule and templates."""
    reading = protocol_reading(protocol, segmenter.reading)
    return segmenter.read_as(replace(reading, rule=segmenter.reading.rule))


def whole_scores(segmenter, protocol, pixels, table_of):
    """Every pixel's scores: maps times table, enlarged all at once."""
    field = under(segmenter, protocol).region_field(pixels)
    table = table_of(F.normalize(field.vectors, dim=-1)).flatten(0, 1)
    scores = torch.einsum("mhw,mc->chw", field.maps, table)[None]
    size = (PHOTO.height, PHOTO.width)
    return F.interpolate(scores, size=size, mode="bilinear", align_corners=False)[0]


@torch.inference_mode()
def test_tcl_is_one_softmax_against_a_constant_background(segmenter):
    protocol = small("tcl")
    vectors = segmenter.embed_queries(WORDS)
    pixels = size_photo(PHOTO, under(segmenter, protocol).reading).pixels
    scale = segmenter.method.scale()
    scores = whole_scores(
        segmenter, protocol, pixels, lambda g: (scale * g @ vectors.mT).softmax(-1)
    )
    reader = ProtocolSegmenter(segmenter, protocol, question(protocol, (), *WORDS))
    limits = [0.1, 0.34, 0.4, 0.9]
    answers = reader.read(PHOTO, limits)
    for limit, answer in zip(limits, answers, strict=True):
        bars = torch.full_like(scores[:1], limit)
        assert answer.equal(torch.cat([bars, scores]).argmax(0).to(torch.int16))


@torch.inference_mode()
def test_sclip_takes_the_softmax_of_averaged_cosines_over_all_wordings(segmenter):
    protocol = replace(small("sclip"), templates="subset")
    stuff = ("sky", "wall")
    pixels = size_photo(PHOTO, under(segmenter, protocol).reading).pixels
    vectors, owner = [], []
    for label, wordings in enumerate((stuff, *WORDS)):
        for wording in wordings:
            prompts = fill_templates(load_templates("subset"), wording)
            features = segmenter.method.embed(list(prompts))
            mean = torch.stack([feature / feature.norm() for feature in features]).mean(0)
            vectors.append(mean / mean.norm())
            owner.append(label)
    cosines = whole_scores(segmenter, protocol, pixels, lambda g: g @ torch.stack(vectors).mT)
    chances = (40 * cosines).softmax(0)
    classes = torch.stack(
        [chances[[own == label for own in owner]].amax(0) for label in range(len(NAMES))]
    )
    asked = replace(question(protocol, stuff, *WORDS), templates="subset")
    limits = [None, 0.1, float(classes.amax(0).min() + classes.amax(0).max()) / 2]
    answers = ProtocolSegmenter(segmenter, protocol, asked).read(PHOTO, limits)
    for limit, answer in zip(limits, answers, strict=True):
        expected = classes.argmax(0)
        if limit is not None:
            expected[classes.amax(0) < limit] = 0
        assert (answer == expected).float().mean() > 0.999


@pytest.mark.parametrize("name", ["groupvit", "tcl", "sclip"])
def test_many_thresholds_at_once_are_what_each_gives_alone(segmenter, name):
    protocol = small(name)
    first = ("sky",) if name == "sclip" else ()
    reader = ProtocolSegmenter(segmenter, protocol, question(protocol, first, *WORDS))
    limits = [None, 0.0, 0.2, 0.34, 0.5, 0.99]
    together = reader.read(PHOTO, limits)
    for limit, answer in zip(limits, together, strict=True):
        assert reader.read(PHOTO, [limit])[0].equal(answer)
    background = (together[1:] == 0).flatten(1).sum(1)
    assert background.tolist() == sorted(background.tolist())


@torch.inference_mode()
def test_refined_scores_are_the_refined_score_maps(segmenter):
    """PAMR is linear: refining the few group maps refines the map of every class."""
    protocol = small("tcl")
    asked = replace(question(protocol, *WORDS, background=False), refine="pamr")
    same = under(segmenter, protocol)
    pixels = size_photo(PHOTO, same.reading).pixels
    field = same.region_field(pixels)
    groups = F.normalize(field.vectors, dim=-1)
    scale, vectors = segmenter.method.scale(), segmenter.embed_queries(WORDS)
    table = (scale * groups @ vectors.mT).softmax(-1).flatten(0, 1)
    scores = pamr(torch.from_numpy(pixels), torch.einsum("mhw,mc->chw", field.maps, table))
    size = (PHOTO.height, PHOTO.width)
    whole = F.interpolate(scores[None], size=size, mode="bilinear", align_corners=False)[0]
    labels = ProtocolSegmenter(segmenter, protocol, asked).read(PHOTO, [None])[0]
    assert (labels == whole.argmax(0)).float().mean() > 0.995


@pytest.mark.parametrize("background", [True, False])
def test_the_crf_refines_the_answer_of_every_threshold(segmenter, background):
    protocol = small("groupvit")
    words = ((), *WORDS) if background else WORDS
    asked = replace(question(protocol, *words, background=background), refine="crf")
    limits = [0.2, 0.34, 0.34, 0.95] if background else [None]
    answers = ProtocolSegmenter(segmenter, protocol, asked).read(PHOTO, limits)
    same = under(segmenter, protocol)
    bank = same.embed_classes(Vocabulary(tuple(map(ClassName, NAMES[1:], WORDS))))
    for limit, answer in zip(limits, answers, strict=True):
        expected = same.segment(
            PHOTO, bank, background=background, threshold=limit or 0.0, refine="crf"
        )
        assert answer.equal(torch.from_numpy(expected.labels))


@pytest.mark.parametrize("size", [(1, 1), (3, 90), (90, 3), (31, 33)])
def test_odd_sizes_are_read_at_their_own_size(segmenter, size):
    protocol = small("tcl")
    reader = ProtocolSegmenter(segmenter, protocol, question(protocol, (), *WORDS))
    labels = reader.read(Image.new("RGB", size, "red"), [0.3])
    assert labels.shape == (1, size[1], size[0])


def test_a_departure_from_the_protocols_size_is_in_the_name(segmenter):
    protocol = load_protocol("tcl")
    asked = question(protocol, (), *WORDS)
    assert ProtocolSegmenter(segmenter, protocol, asked).name == "tcl"
    own = ProtocolSegmenter(segmenter, protocol, asked, own_size=True)
    assert own.name == "tcl (at 448, window 32, stride 16)"


def test_a_models_own_candidates_are_asked_and_named_where_classes_are_left_out(segmenter):
    protocol = replace(small("groupvit"), top_k=1)
    asked = question(protocol, *WORDS, background=False)
    rule = replace(segmenter.reading.rule, top_k_by="groups")
    reading = replace(segmenter.reading, short_side=64, antialias=False, rule=rule)
    reading = replace(reading, taper_windows=True)
    own = segmenter.read_as(reading)
    reader = ProtocolSegmenter(own, protocol, asked, own_size=True)
    assert "candidates by groups; windows faded" in reader.name
    bank = own.embed_classes(Vocabulary(tuple(map(ClassName, NAMES[1:], WORDS))))
    expected = own.segment(PHOTO, bank, top_k=1).labels
    assert reader.read(PHOTO, [None])[0].equal(torch.from_numpy(expected))
    by_image = segmenter.read_as(replace(reading, rule=replace(rule, top_k_by="image")))
    other = ProtocolSegmenter(by_image, protocol, asked, own_size=True).read(PHOTO, [None])
    assert not other.equal(reader.read(PHOTO, [None]))
    tcl = small("tcl")
    assert (
        "candidates"
        not in ProtocolSegmenter(own, tcl, question(tcl, (), *WORDS), own_size=True).name
    )


@pytest.mark.parametrize("refine", ["none", "crf"])
def test_background_words_answer_as_the_segmenter_does(segmenter, refine):
    protocol = small("groupvit")
    stuff = BackgroundWords(("wall", "water", "snow"), "given")
    asked = replace(question(protocol, (), *WORDS), background_words=stuff, refine=refine)
    reader = ProtocolSegmenter(segmenter, protocol, asked)
    assert reader.name == "groupvit (background words given)"
    limits = [None, 0.2, 0.34]
    answers = reader.read(PHOTO, limits)
    same = under(segmenter, protocol)
    bank = same.embed_classes(Vocabulary(tuple(map(ClassName, NAMES[1:], WORDS))))
    for limit, answer in zip(limits, answers, strict=True):
        expected = same.segment(
            PHOTO, bank, background=True, threshold=limit or 0.0, refine=refine,
            background_words=stuff.words,
        ).labels  # fmt: skip
        assert answer.equal(torch.from_numpy(expected))
    plain = ProtocolSegmenter(
        segmenter, protocol, replace(asked, background_words=BackgroundWords())
    )
    assert not plain.read(PHOTO, limits).equal(answers)


def test_background_words_compete_in_every_protocol(segmenter):
    """As a class after all others would: asked for as such, its pixels are the background's."""
    stuff = BackgroundWords(("wall",), "given")
    for name in ("tcl", "sclip"):
        protocol = replace(small(name), templates="simple")
        first = ("sky",) if name == "sclip" else ()
        asked = replace(question(protocol, first, *WORDS), background_words=stuff)
        more = replace(
            asked,
            class_names=(*NAMES, "wall"),
            wordings=(*asked.wordings, ("wall",)),
            background_words=BackgroundWords(),
        )
        limits = [None, 0.2, 0.34]
        classes = ProtocolSegmenter(segmenter, protocol, more).read(PHOTO, limits)
        words = ProtocolSegmenter(segmenter, protocol, asked).read(PHOTO, limits)
        assert words.equal(torch.where(classes == len(NAMES), 0, classes))


def test_patches_answer_under_a_protocol_and_its_name_says_so():
    config = tiny_model_config()
    image = replace(config.image, depths=(1, 0), num_groups=(4,), group_residual=False)
    network = build_model(replace(config, image=image))
    reading = InferenceConfig(window=32, stride=16, patch_share=0.6, patch_affinity=0.1)
    protocol = small("groupvit")
    asked = question(protocol, *WORDS, background=False)
    reader = ProtocolSegmenter(segmenter_of(network, reading), protocol, asked)
    assert reader.name == "groupvit (patch share 0.6; patch affinity 0.1)"
    plain = ProtocolSegmenter(
        segmenter_of(network, replace(reading, patch_share=0.0)), protocol, asked
    )
    assert not plain.read(PHOTO, [None]).equal(reader.read(PHOTO, [None]))
