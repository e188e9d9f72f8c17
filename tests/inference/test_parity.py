"""Segmentation scores against the released code, at training size and at a larger, oblong one."""

import pytest
import torch

from pgseg_core.checkpoint.importers import import_checkpoint
from pgseg_core.config import InferenceConfig
from pgseg_core.inference.class_bank import ClassBank
from pgseg_core.inference.segmenter import Segmenter
from tests.reference.released import assert_equal, numbers, parity_path, tensor
from tests.tiny import scores_of, segmenter_of

pytestmark = pytest.mark.golden


def segmenter(name: str, *, window: int, stride: int) -> Segmenter:
    model = import_checkpoint(str(parity_path(f"{name}.pth"))).build()
    return segmenter_of(model, InferenceConfig(window=window, stride=stride))


def released(name: str) -> tuple[str, ClassBank]:
    archive = f"{name}_seg.npz"
    vectors = tensor(archive, "in/class_embedding")
    return archive, ClassBank(tuple(f"class {i}" for i in range(len(vectors))), vectors)


@pytest.mark.parametrize("size", ["64x64", "96x160"])
@pytest.mark.parametrize("name", ["PGSeg_A", "GroupViT_A"])
def test_one_window(name, size):
    archive, bank = released(name)
    pixels = tensor(archive, f"{size}/image")[0]
    height, width = pixels.shape[1:]
    reader = segmenter(name, window=max(height, width), stride=max(height, width))
    field = scores_of(reader, pixels, bank, threshold=None)
    assert_equal(field.scores(size=(height, width)), tensor(archive, f"{size}/logits"))
    compared = 0
    for key in numbers(archive):
        if key.startswith(f"{size}/logits_bg"):
            threshold = float(key.removeprefix(f"{size}/logits_bg"))
            field = scores_of(reader, pixels, bank, threshold=threshold)
            assert_equal(field.scores(size=(height, width)), tensor(archive, key), key)
            compared += 1
    assert compared == 2


@pytest.mark.parametrize("name", ["PGSeg_A", "GroupViT_A"])
def test_sliding_windows(name):
    archive, bank = released(name)
    pixels = tensor(archive, "96x160/image")[0]
    reader = segmenter(name, window=64, stride=32)
    field = scores_of(reader, pixels, bank, threshold=None)
    assert_equal(field.scores(size=(96, 160)), tensor(archive, "96x160/slide_logits"))
    for key in numbers(archive):
        if key.startswith("96x160/slide_logits_bg"):
            threshold = float(key.removeprefix("96x160/slide_logits_bg"))
            field = scores_of(reader, pixels, bank, threshold=threshold)
            assert_equal(field.scores(size=(96, 160)), tensor(archive, key), key)


def test_class_embedding():
    model = import_checkpoint(str(parity_path("PGSeg_A.pth"))).build()
    tokens = tensor("PGSeg_A.npz", "in/class_tokens")
    with torch.no_grad():
        features = model.encode_text(tokens.flatten(0, 1)).feature.unflatten(0, tokens.shape[:2])
    mean = torch.nn.functional.normalize(features.mean(dim=1), dim=-1)
    assert_equal(mean, tensor("PGSeg_A.npz", "eval/class_embedding"))
