"""Background as a user tunes it: words, a sweep on one set, its setting on another, a card."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from pgseg_cli.commands.viz import comparing
from tests.cli.test_bad_input import photo

SECOND = "eval -w runs/pgseg-tiny --dataset folder --data-root second --json"


@pytest.fixture
def sets(here: Path) -> Path:
    """Two small sets of the classes grass and car; the images of both have the same names."""
    generator = np.random.default_rng(0)
    for number, name in enumerate(("first", "second")):
        folder = here / name
        (folder / "images").mkdir(parents=True)
        (folder / "masks").mkdir()
        (folder / "classes.txt").write_text("background\ngrass\ncar\n")
        for image in range(3):
            photo(folder / "images" / f"{image}.png", size=(40 + 4 * number, 32))
            mask = generator.integers(0, 3, (32, 40 + 4 * number), dtype=np.uint8)
            Image.fromarray(mask).save(folder / "masks" / f"{image}.png")
    return here


def test_a_sweep_on_one_set_chooses_for_another(pgseg, sets):
    line = "eval -w runs/pgseg-tiny --dataset folder --data-root first --background-words stuff"
    swept = pgseg(f"{line} --sweep-background --out tuned --json")
    assert swept.code == 0, swept.err
    assert "no background words on folder, which has them: grass" in swept.words
    report = json.loads(swept.out)
    assert report["protocol"].endswith("background words stuff)")
    words = report["background_words"]
    assert "grass" not in words
    assert "sky" in words
    assert report["background_words_from"] == "stuff"
    assert len(report["background_words_hash"]) == 12
    assert f"stuff: {len(words)} (" in swept.words
    assert f"stuff: {len(words)} (" in (sets / "tuned/report.html").read_text()

    limit = report["sweep"]["best_threshold"]
    tuned = pgseg(f"{SECOND} --background tuned")
    assert tuned.code == 0, tuned.err
    found = json.loads(tuned.out)
    assert (found["threshold"], found["background_words"]) == (limit, words)
    assert "a sweep over folder, 3 images (tuned)" in found["threshold_from"]
    given = json.loads(pgseg(f"{SECOND} --background {limit} --background-words stuff").out)
    assert given["confusion"] == found["confusion"]
    bare = json.loads(pgseg(f"{SECOND} --background tuned --background-words none").out)
    assert (bare["threshold"], bare["background_words"]) == (limit, [])
    point = report["sweep"]["thresholds"].index(limit)
    same = json.loads(pgseg(f"{SECOND.replace('second', 'first')} --background tuned").out)
    assert same["scores"]["miou"] == pytest.approx(report["sweep"]["miou"][point])


def test_a_threshold_tuned_on_the_measured_images_is_called_no_test(pgseg, sets):
    line = "eval -w runs/pgseg-tiny --dataset folder --data-root first"
    assert pgseg(f"{line} --sweep-background --out tuned").code == 0
    again = pgseg(f"{line} --background tuned --json")
    assert "3 of those images are measured here: no test" in again.words
    other = pgseg(f"{SECOND} --background tuned")
    assert "measured here" not in other.words
    assert pgseg(f"{line} --out plain").code == 0
    refused = pgseg(f"{line} --background plain")
    assert refused.code == 2
    assert "--background plain: this report has no sweep" in refused.words


def test_weights_recommend_a_setting(pgseg, sets):
    newest = sorted((sets / "runs/pgseg-tiny/checkpoints").glob("step-*"))[-1]
    shutil.copytree(newest, sets / "advised")
    card = {"inference": {"background": 0.4, "background_words": "stuff", "tuned_on": "scenes"}}
    (sets / "advised/card.json").write_text(json.dumps(card))
    line = SECOND.replace("runs/pgseg-tiny", "advised")
    found = json.loads(pgseg(f"{line} --background recommended").out)
    assert found["threshold"] == 0.4
    assert found["threshold_from"] == "the weights' card (tuned on scenes)"
    assert found["background_words_from"] == "stuff"
    usual = json.loads(pgseg(line).out)  # a protocol's number is asked for by its own rule
    assert (usual["threshold"], usual["background_words"]) == (0.95, [])
    refused = pgseg(f"{SECOND} --background recommended")
    assert refused.code == 2
    assert "these weights recommend nothing" in refused.words

    segment = "segment first/images/0.png -c car,dog --json -w"
    shown = pgseg(f"{segment} advised --background")
    question = json.loads(shown.out)["question"]
    assert question["threshold"] == 0.4
    assert "sky" in question["background_words"]
    assert "background: scores below 0.4, and 27 words for it" in shown.words
    same = pgseg(f"{segment} runs/pgseg-tiny --background --threshold 0.4 --background-words stuff")
    assert json.loads(same.out)["classes"] == json.loads(shown.out)["classes"]
    without = json.loads(pgseg(f"{segment} advised").out)
    assert [each["name"] for each in without["classes"]] == ["car", "dog"]
    assert without["question"]["background_words"] == []

    explained = pgseg("explain first/images/0.png -c car,dog --background -w advised --json")
    assert {each["rivals"] for each in json.loads(explained.out)} == {29}


@pytest.mark.parametrize(
    ("inference", "words"),
    [
        ({"background": 2}, "'background' is a threshold from 0 to 1, not 2"),
        ({"background_words": 3}, "'background_words' is a list's name, or a list of words"),
        ({"treshold": 0.3}, "'inference' takes background, background_words, tuned_on"),
    ],
)
def test_a_wrong_card_is_named(pgseg, here, inference, words):
    newest = sorted((here / "runs/pgseg-tiny/checkpoints").glob("step-*"))[-1]
    shutil.copytree(newest, here / "advised")
    (here / "advised/card.json").write_text(json.dumps({"inference": inference}))
    photo(here / "a.png")
    refused = pgseg("segment a.png -c car,dog -w advised")
    assert refused.code == 2
    assert "advised/card.json" in refused.words
    assert words in refused.words


def test_models_are_compared_each_with_the_background_it_recommends(pgseg, sets, monkeypatch):
    """The same weights with cards that say different things, asked as each of them says."""
    newest = sorted((sets / "runs/pgseg-tiny/checkpoints").glob("step-*"))[-1]
    cards = {"never": (0.0, "none"), "always": (1.0, "none"), "words": (1.0, "stuff")}
    for name, (threshold, words) in cards.items():
        shutil.copytree(newest, sets / name)
        card = {"inference": {"background": threshold, "background_words": words}}
        (sets / name / "card.json").write_text(json.dumps(card))
    drawn, asked = [], []
    monkeypatch.setattr(
        comparing, "draw_comparison", lambda *given, **_: drawn.append(given[1]) or Figure()
    )

    class Noting(comparing.ProtocolSegmenter):
        def __init__(self, segmenter, protocol, question, **options):
            asked.append((question.threshold, bool(question.background_words.words)))
            super().__init__(segmenter, protocol, question, **options)

    monkeypatch.setattr(comparing, "ProtocolSegmenter", Noting)
    models = "-w never -w always -w words -w runs/pgseg-tiny"
    line = f"viz compare --dataset folder --data-root first {models}"
    assert pgseg(line).code == 0
    assert asked == [(0.0, False), (1.0, False), (1.0, True), (0.95, False)]
    never, _, _, plain, _ = (np.stack(column.labels) for column in drawn[0])
    assert not (never == 0).any(), "no region scores below 0"
    asked.clear()
    assert pgseg(f"{line} --threshold 0.95").code == 0
    given = [(0.95, False), (0.95, False), (0.95, True), (0.95, False)]
    assert asked == given, "a threshold that is given leaves the card's words"
    assert np.array_equal(np.stack(drawn[1][0].labels), plain)
    assert pgseg(f"{line} --threshold 0").code == 0
    assert np.array_equal(np.stack(drawn[2][0].labels), never)
    (sets / "second/classes.txt").write_text("road\ngrass\ncar\n")
    refused = pgseg(line.replace("first", "second") + " --threshold 0.5")
    assert refused.code == 2
    assert "--threshold 0.5: folder has no background class" in refused.words
