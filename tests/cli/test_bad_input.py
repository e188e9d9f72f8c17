"""Bad input: one sentence that names what is wrong, the next thing to type, exit code 2."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import write_table


def photo(path, mode="RGB", size=(40, 30), **options):
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path, **options)
    return path


def assert_refused(result, *parts):
    assert result.code == 2, result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    for part in parts:
        assert part in result.words
    sentence, _, remedy = result.err.partition("error: ")[2].partition("\n")
    assert sentence
    assert remedy.strip(), "what to type next"


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("segment gone.jpg -c sky", ["gone.jpg: no such image or folder"]),
        ("segment empty -c sky", ["no image in empty"]),
        ("segment zero.jpg -c sky", ["zero.jpg: not an image that can be read"]),
        ("segment text.jpg -c sky", ["text.jpg: not an image that can be read"]),
        (
            "segment cut.jpg -c sky",
            ["cut.jpg: not an image that can be read (", "Open it in a viewer"],
        ),
        ('segment good.jpg -c ""', ["the class list is empty"]),
        ('segment good.jpg -c "sky,,road"', ["empty name"]),
        ('segment good.jpg -c "sky,Sky"', ["named twice"]),
        ("segment good.jpg -c @gone.txt", ["gone.txt"]),
        ("segment good.jpg -c sky --weights gone", ["gone: no such weights", "pgseg train"]),
        ("segment good.jpg -c sky --weights empty", ["holds no model.safetensors"]),
        ("segment good.jpg -c sky --templates gone", ["'gone' is neither a built-in set"]),
        ("segment good.jpg -c sky --device cuda", ["no cuda device"]),
        ("segment god.jpg -c sky", ["no such image", "Did you mean good.jpg?"]),
        ("segment 'empty/*.jpg' -c sky", ["empty/*.jpg: matches no image", "**"]),
        ("segment good.jpg", ["no classes named", "--suggest"]),
        ("segment good.jpg -c sky --vocab voc12", ["-c and --vocab"]),
        ("segment good.jpg --vocab voc13", ["Did you mean voc12?", "@classes.txt"]),
        ("segment good.jpg -c sky --format coko", ["no format called 'coko'", "mean coco?"]),
        ("segment good.jpg -c sky --refine parm", ["'parm'", "Did you mean pamr?"]),
        ("segment good.jpg -c sky --scale 1,x", ["scales '1,x'"]),
        ("segment good.jpg -c sky --scale 0", ["scales '0'"]),
        ("segment good.jpg -c sky --size 9", ["size 9"]),
        ("segment good.jpg -c sky --templates ful", ["Did you mean full?"]),
        ("segment good.jpg -c sky -w pgseg-tinny", ["Did you mean runs/pgseg-tiny?"]),
        ("segment http://127.0.0.1:9/a.jpg -c sky", ["127.0.0.1:9/a.jpg: cannot be fetched"]),
        ("segment good.jpg -c sky -o good.jpg/out", ["good.jpg/out: cannot be written"]),
        ("explain god.jpg -c sky", ["Did you mean good.jpg?"]),
        ("explain good.jpg", ["no classes named"]),
        ("train --preset pgseg-tinny", ["Did you mean pgseg-tiny?"]),
        ("train --set model.npr.treshold=1", ["unknown option", "model.npr.threshold"]),
        ("train --set train.batch_size=zero", ["train.batch_size"]),
        (
            "train --set inference.patch_share=0 --set inference.patch_affinity=0.1",
            ["pgseg-tiny: inference.patch_affinity is"],
        ),
        ("train --data gone", ["gone"]),
        ("train --backend gone", ["no backend called 'gone'", "single"]),
        ("train --resume gone", ["gone holds no run"]),
        ("train --resume gone --data here", ["--resume goes on with a run"]),
        ("data prepare gone.tsv", ["gone.tsv"]),
        ("data prepare photos --caption-column words", ["words", "caption"]),
        ("data prepare empty", ["empty"]),
        ("data prepare photos --format gone", ["--format gone is no format", "tsv", "coco"]),
        ("data prepare photos --part 3/2", ["no part 3 of 2", "--part 1/4"]),
        ("data prepare photos --part half", ["--part half is not of the form I/N"]),
        ("data prepare photos --duplicates no", ["duplicates is 'no'", "keep, exact, near"]),
        ("data prepare photos --max-aspect 0.5", ["max_aspect is 0.5"]),
        ("data prepare photos --images gone", ["image folder gone does not exist"]),
        ("data prepare photos --out good.jpg", ["good.jpg is a file"]),
        ("data prepare photos --out photos", ["the source photos lies in photos"]),
        ("data merge empty gone --out new", ["empty is not a prepared folder"]),
        ("data verify gone", ["1 of 1 shards missing, such as gone"]),
        ("data verify empty", ["there are no shards in empty"]),
        ("data stats empty", ["no image-text pair that can be read"]),
        ("eval --dataset voc12", ["where is voc12?", "--data-root"]),
        ("eval --dataset voc13", ["'voc13'", "Did you mean voc12?"]),
        ("train --set wheels.count=4", ["unknown option 'wheels", "schema.py"]),
        ("eval --dataset voc12 --data-root empty", ["voc12"]),
        ("eval --dataset nonsense --data-root empty", ["nonsense"]),
        ("eval --dataset voc12,voc12", ["voc12 is named twice"]),
        ("eval --dataset voc12,camvid --data-root empty", ["1 for 2 sets (voc12, camvid)"]),
        ("eval --task sorting", ["no task called 'sorting'", "segmentation"]),
        ("eval --task retrieval --dataset voc12", ["--task retrieval has no use for --dataset"]),
        ("eval --task classification", ["where are the images?", "CLASS/*.jpg"]),
        ("eval --task classification --data-root empty", ["empty has no folder of images"]),
        ("eval --device gpu", ["no gpu device on this machine", "cpu"]),
        ("eval --backend gone", ["no backend called 'gone'"]),
        (
            "eval --unlabelled never",
            ["--unlabelled: no choice called 'never'", "background, ignore"],
        ),
        ("eval --unlabelled ignore", ["a choice of coco-object and lvis, not of scenes"]),
        ("eval --background often", ["--background often", "auto, none"]),
        ("eval --background 0.5", ["scenes has no background class"]),
        ("eval --sweep-background", ["scenes has no background class"]),
        ("eval --background-words stuff", ["scenes has no background class"]),
        ("eval --background-words stuf", ["Did you mean stuff?"]),
        ("segment good.jpg -c a,b --background --background-words gone.txt", ["neither a file"]),
        ("eval --baseline gone", ["no baseline called 'gone'"]),
        ("eval --baseline background", ["scenes has no background class"]),
        ("eval --masks gone", ["--masks: the folder gone does not exist"]),
        ("eval --masks empty", ["empty has no masks of", ".png (an index image)"]),
        ("eval --masks empty --baseline frequent", ["--masks are measured by themselves"]),
        ("eval --classes gone.txt", ["gone.txt"]),
        ("eval --refine crv", ["no refinement called 'crv'", "Did you mean crf?"]),
        ("eval --system gone", ["no system 'gone'", "groupvit, ovsegmentor, pgseg"]),
        ("eval compare empty good.jpg", ["report.json cannot be read", "pgseg eval --out"]),
        ("eval --protocol gone --data-root empty", ["no protocol called 'gone'"]),
        ("convert good.jpg --out new", ["not a readable .pth file"]),
        ("viz prototypes gone.jpg", ["gone.jpg"]),
    ],
)
def test_refused_in_one_sentence(pgseg, here, line, parts):
    (here / "empty").mkdir()
    (here / "zero.jpg").write_bytes(b"")
    (here / "text.jpg").write_text("not a photo")
    photo(here / "good.jpg")
    whole = (here / "good.jpg").read_bytes()
    (here / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    write_table(here / "photos", 2)
    assert_refused(pgseg(line), *parts)
    assert not (here / "segmented").exists()
    assert not (here / "new").exists()


def test_without_data_or_weights_the_remedy_is_named(pgseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "good.jpg")
    assert_refused(pgseg("train"), "no prepared data in this folder", "pgseg data prepare")
    assert_refused(pgseg("segment good.jpg -c sky"), "no weights named", "pgseg train")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("grey.png", {"mode": "L"}),
        ("alpha.png", {"mode": "RGBA"}),
        ("palette.png", {"mode": "P"}),
        ("cmyk.jpg", {"mode": "CMYK"}),
        ("bilevel.png", {"mode": "1"}),
        ("one.png", {"size": (1, 1)}),
        ("thin.png", {"size": (20000, 20)}),
        ("tall.png", {"size": (3, 900)}),
    ],
)
def test_odd_photos_are_segmented_at_their_own_size(pgseg, here, name, options):
    photo(here / name, **options)
    result = pgseg(f'segment {name} -c "sky,road"')
    assert result.code == 0, result.err
    stem = name.split(".")[0]
    with Image.open(here / f"segmented/{stem}_mask.png") as mask:
        assert mask.size == options.get("size", (40, 30))


def test_sixteen_bits_and_turned_photos(pgseg, here):
    deep = np.random.default_rng(1).integers(0, 65535, (20, 30), dtype=np.uint16)
    Image.fromarray(deep).save(here / "deep.png")
    turned = Image.new("RGB", (40, 20), "blue")
    exif = turned.getexif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=exif)
    (here / "turned.jpg").write_bytes(buffer.getvalue())
    assert pgseg("segment deep.png turned.jpg -c sky,road").code == 0
    with Image.open(here / "segmented/turned_mask.png") as mask:
        assert mask.size == (20, 40)


def test_weights_of_another_shape(pgseg, here, tmp_path):
    from safetensors.torch import load_file, save_file

    run = next((here / "runs/pgseg-tiny/checkpoints").iterdir())
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in ("config.json", "state.json"):
        (copy / file).write_bytes((run / file).read_bytes())
    weights = load_file(run / "model.safetensors")
    weights["image_projector.fc2.bias"] = weights["image_projector.fc2.bias"][:-1]
    save_file(weights, copy / "model.safetensors")
    photo(here / "good.jpg")
    assert_refused(pgseg("segment good.jpg -c sky -w copy"), "image_projector.fc2.bias has shape")
