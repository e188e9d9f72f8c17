"""`pgseg segment` and its neighbours as typed, on photos of every kind."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgseg_cli import completion
from pgseg_core import Segmenter
from pgseg_core.text.vocabulary import read_class_file
from tests.cli.test_bad_input import photo
from tests.patience import PATIENCE
from tests.server.conftest import serving
from tests.server.test_api import ask

ODD = ["sky", '"cup, mug"', "שמיים", "🦊", "a/../../b", "x" * 300, "*?<|>"]


@pytest.fixture
def photos(here: Path) -> Path:
    folder = here / "photos"
    (folder / "inner dir").mkdir(parents=True)
    photo(folder / "a.png")
    photo(folder / "inner dir" / "a.webp")
    photo(folder / "wide.avif", size=(90, 20))
    frames = [Image.new("RGB", (20, 16), (60 * k, 0, 90)) for k in range(3)]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:])
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    os.link(folder / "a.png", os.fsencode(folder) + b"/no\xfftext.png")
    return folder


def masks(folder: Path) -> dict[str, bytes]:
    found = sorted(folder.rglob("*_mask.png"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_folder_with_all_that_can_be_asked(pgseg, here, photos):
    line = ["segment", "photos", "-c", ",".join(ODD), "--top-k", "7", "--format", "coco,png"]
    result = pgseg([*line, "-o", "photos/out"])
    assert result.code == 2
    assert "skipped 1 of 8 photos" in result.words
    assert "broken.jpg" in result.words
    names = [f"film.gif/frame_{k}" for k in (1, 2, 3)]
    names = sorted(["a", "inner dir/a", "no\udcfftext", "wide", *names])
    assert list(masks(photos / "out")) == [f"{name}_mask.png" for name in names]
    for name in names:
        record = json.loads((photos / f"out/{name}.json").read_text("utf-8"))
        assert [each["name"] for each in record["classes"]][1:4] == ["cup, mug", "שמיים", "🦊"]
        with Image.open(photos / f"out/{name}_mask.png") as mask:
            counts = np.bincount(np.asarray(mask).ravel(), minlength=7).tolist()
        assert counts == [each["pixels"] for each in record["classes"]]
    outside = {path.name for path in here.iterdir()} - {"data", "runs", "photos"}
    assert not outside
    assert not list(photos.rglob(".*.tmp"))
    page = (photos / "out/index.html").read_text("utf-8")
    assert "inner%20dir/a_overlay.png" in page
    merged = json.loads((photos / "out/_annotations.coco.json").read_text("utf-8"))
    frames = [f"out/film.gif/frame_{k}_photo.png" for k in (1, 2, 3)]
    assert sorted(each["file_name"] for each in merged["images"]) == [
        "a.png", "inner dir/a.webp", "no\udcfftext.png", *frames, "wide.avif",
    ]  # fmt: skip
    for image in merged["images"]:
        with Image.open(
            photos / "out" / merged["info"]["image_root"] / image["file_name"]
        ) as found:
            assert found.size == (image["width"], image["height"])

    before = masks(photos / "out")
    (photos / "out/wide.json").unlink()
    again = pgseg([*line, "-o", "photos/out", "--resume", "--json"])
    assert again.code == 2
    assert "6 photos were finished before" in again.words
    assert len(json.loads(again.out)) == 7
    assert masks(photos / "out") == before


def test_the_same_pixels_from_every_side(pgseg, here, photos, monkeypatch):
    (here / "classes.txt").write_text("sky, blue sky  # above\nroad\n\n# no more\ntree\n")
    choices = "--background --threshold 0.1 --flip --scale 1,0.5 --refine pamr --size 80"
    asked = f"-c @classes.txt {choices}"
    assert pgseg(f"segment photos/a.png {asked} -o one").code == 0
    data = io.BytesIO((photos / "a.png").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    piped = pgseg(f"segment - {asked} -o two")
    assert piped.code == 0, piped.err
    assert pgseg(f"segment 'photos/*.*g' {asked} -o three").code == 2
    with Image.open(here / "one/a_mask.png") as mask:
        labels = np.asarray(mask)
    for path in ("two/stdin_mask.png", "three/a_mask.png"):
        assert (here / path).read_bytes() == (here / "one/a_mask.png").read_bytes()
    segmenter = Segmenter.load()
    vocabulary = read_class_file(here / "classes.txt")
    options = {"background": True, "threshold": 0.1, "flip": True, "refine": "pamr", "size": 80}
    with Image.open(photos / "a.png") as image:
        for picture in (photos / "a.png", image, np.asarray(image)):
            found = segmenter.segment(picture, vocabulary, scales=(1, 0.5), **options)
            np.testing.assert_array_equal(found.labels, labels)


def test_the_same_pixels_from_the_command_python_and_the_server(pgseg, here):
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right
    file = photo(here / "turned.jpg", size=(90, 64), exif=turned)
    names, choices = "sky,road,tree", "--background --threshold 0.1 --flip --refine pamr"
    line = f"segment turned.jpg -c {names} {choices} -w runs/pgseg-tiny"
    assert pgseg(line).code == 0
    with Image.open(here / "segmented/turned_mask.png") as mask:
        labels = np.asarray(mask)
    assert labels.shape == (90, 64)
    segmenter = Segmenter.load("runs/pgseg-tiny")
    options = {"background": True, "threshold": 0.1, "flip": True, "refine": "pamr"}
    found = segmenter.segment(file, names.split(","), **options)
    np.testing.assert_array_equal(found.labels, labels)
    fields = {"background": "on", "threshold": "0.1", "flip": "on", "refine": "pamr"}
    with serving(segmenter) as server:
        reply = ask(server, file.read_bytes(), "/api/mask", **{"classes": names, **fields})
    with Image.open(io.BytesIO(reply.body)) as mask:
        np.testing.assert_array_equal(np.asarray(mask), labels)


def test_suggested_classes(pgseg, here, photos, monkeypatch):
    monkeypatch.setenv("PGSEG_CACHE", str(here / "cache"))
    line = "segment photos/a.png --suggest --suggestions 3 --json -w runs/pgseg-tiny"
    result = pgseg(line)
    assert result.code == 0, result.err
    classes = [each["name"] for each in json.loads(result.out)["classes"]]
    assert len(classes) == 3

    (kept,) = (here / "cache/class-vectors").iterdir()
    embed = Segmenter.embed_queries
    monkeypatch.setattr(Segmenter, "embed_queries", None)  # the second call has no need of it
    assert json.loads(pgseg(line).out)["classes"] == json.loads(result.out)["classes"]
    monkeypatch.setattr(Segmenter, "embed_queries", embed)
    kept.write_bytes(kept.read_bytes()[:200])  # damaged: embedded once more
    assert json.loads(pgseg(line).out)["classes"] == json.loads(result.out)["classes"]
    assert kept.stat().st_size > 10_000
    among = pgseg("segment photos/a.png --vocab coco --suggest --suggestions 2 --json")
    assert len(json.loads(among.out)["classes"]) == 2
    assert pgseg("segment photos/a.png -c voc21").code == 0


def test_explain_agrees_with_segment(pgseg, here, photos):
    line = "photos/a.png -c sky,road,dog,tree --top-k 2 --background --threshold 0.2 --json"
    explained = pgseg(f"explain {line}")
    assert explained.code == 0, explained.err
    reasons = json.loads(explained.out)
    record = json.loads(pgseg(f"segment {line}").out)
    shares = {each["name"]: each["share"] for each in record["classes"]}
    assert sorted(each["rank"] for each in reasons)[:1] == [1]
    for reason in reasons:
        assert reason["share"] == pytest.approx(shares[reason["name"]], abs=1e-5)
        assert bool(reason["advice"]) == (reason["share"] == 0)
        if reason["windows"] == 0:
            assert f"--top-k {reason['rank']}" in reason["advice"]


def test_models_are_listed_and_found_by_name(pgseg, here, tmp_path, monkeypatch):
    import shutil

    from pgseg_core.weights import catalogue

    run = next((here / "runs/pgseg-tiny/checkpoints").iterdir())
    bundled = tmp_path / "bundled"
    shutil.copytree(run, bundled / "pgseg-small")
    (bundled / "pgseg-small/state.json").unlink()
    card = {
        "licence": "Apache-2.0", "training_data": "embedded scenes", "default": True,
        "scores": {"scenes mIoU": 0.31},
    }  # fmt: skip
    (bundled / "pgseg-small/card.json").write_text(json.dumps(card))
    shutil.copytree(run, tmp_path / "cache/weights/mine")
    monkeypatch.setattr(catalogue, "bundled_folder", lambda: bundled)
    monkeypatch.setenv("PGSEG_CACHE", str(tmp_path / "cache"))
    listed = json.loads(pgseg("models --json").out)
    assert [(each["name"], each["kind"]) for each in listed] == [
        ("pgseg-small", "bundled"), ("mine", "cached"), ("pgseg-tiny", "run"),
    ]  # fmt: skip
    assert listed[0]["licence"] == "Apache-2.0"
    assert listed[0]["scores"] == {"scenes mIoU": 0.31}
    assert listed[2]["training_data"].endswith("data/scenes")
    shown = pgseg("models").words
    for part in ("pgseg-small", "bundled, default", "scenes mIoU 0.31", "runs/pgseg-tiny"):
        assert part in shown
    photo(here / "a.png")
    assert "weights: pgseg-small " in pgseg("segment a.png -c sky,sea").words
    assert "weights: mine " in pgseg("explain a.png -c sky -w mine").words
    assert "weights: runs/" in pgseg("segment a.png -c sky,sea -w pgseg-tiny").words
    assert list(completion.complete_weights("pgseg-")) == ["pgseg-small"]
    (bundled / "pgseg-small/card.json").write_text("[")
    assert "card.json cannot be read" in pgseg("models").words


def test_of_a_long_list_the_terminal_shows_what_was_found(pgseg, here, photos):
    (here / "many.txt").write_text("\n".join(f"thing {number}" for number in range(40)))
    shown = pgseg("segment photos/a.png -c @many.txt -o out").words
    found = [
        each for each in json.loads(Path("out/a.json").read_text())["classes"] if each["pixels"]
    ]
    assert f"{40 - len(found)} other classes were not found" in shown
    assert shown.count("thing ") == len(found)


def test_what_the_shell_completes_is_what_there_is():
    from pgseg_cli.commands.evaluate.segmentation import TASKS
    from pgseg_core.config.load import preset_names
    from pgseg_core.data.segmentation.benchmarks import SEGMENTATION_SETS
    from pgseg_core.evaluation.baselines import BASELINES
    from pgseg_core.evaluation.protocols.protocol import protocol_names
    from pgseg_core.inference.refine import REFINE
    from pgseg_core.inference.refinements import REFINEMENTS
    from pgseg_core.results.formats import FORMATS
    from pgseg_core.text.templates import BUILTIN_TEMPLATES

    assert tuple(FORMATS) == completion.FORMATS
    assert tuple(REFINE) == REFINEMENTS == tuple(completion.complete_refinements(""))
    assert completion.TEMPLATES == BUILTIN_TEMPLATES
    assert tuple(TASKS) == completion.TASKS
    assert set(completion.DATASETS) == {*SEGMENTATION_SETS, "scenes"}
    assert list(completion.PROTOCOLS) == protocol_names()
    assert completion.BASELINES == BASELINES
    assert list(completion.PRESETS) == preset_names()
    assert list(completion.complete_list(*FORMATS)("coco,g")) == ["coco,geojson"]
    assert list(completion.complete_from(*completion.PROTOCOLS)("s")) == ["sclip"]
    assert "voc12" in completion.complete_vocabularies("voc")


def test_a_killed_run_leaves_whole_files_and_goes_on(here):
    """Killed while it writes: what is there opens, and the rest follows with --resume."""
    folder = here / "many"
    folder.mkdir()
    for number in range(12):
        photo(folder / f"{number:02}.png", size=(400, 300))
    program = "import sys; from pgseg_cli.main import run; sys.argv[0] = 'pgseg'; run()"
    command = [sys.executable, "-c", program, "segment", "many", "-c", "sky,road", "-o", "out"]
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + PATIENCE
    while not list((here / "out").glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    finished = {path.stem for path in (here / "out").glob("*.json")}
    assert finished
    for path in (here / "out").rglob("[!.]*.*"):
        if path.suffix == ".json":
            json.loads(path.read_text("utf-8"))
        else:
            with Image.open(path) as image:
                image.load()
    done = subprocess.run([*command, "--resume"], check=True, capture_output=True, text=True)
    assert f"{len(finished)} photos were finished before" in done.stderr
    assert len(list((here / "out").glob("*_mask.png"))) == 12
    assert not list((here / "out").rglob(".*.tmp"))
