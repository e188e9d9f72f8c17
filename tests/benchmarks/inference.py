"""Segmenting: one window and its classes, many classes, whole folders."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from pgseg_core.config import InferenceConfig
from pgseg_core.inference.class_bank import ClassBank
from pgseg_core.inference.options import SegmentOptions
from pgseg_core.memory import keep_freed_memory
from pgseg_core.networks.grouping import build_model
from pgseg_core.photos.inputs import find_photos
from pgseg_core.results.job import Job, run_job
from tests.benchmarks import yardstick
from tests.benchmarks.work import class_prompts, paper, window
from tests.tiny import scores_of, segmenter_of

Run = Callable[[], object]


def ours(*, preset: str = "pgseg-vits16", classes: int = 21) -> Run:
    """One 448 x 448 window: prompts and pixels in, labels out."""
    keep_freed_memory()
    segmenter = segmenter_of(build_model(paper(preset).model), InferenceConfig())
    pixels, prompts = window()[0], class_prompts(classes)
    names = tuple(str(i) for i in range(classes))

    @torch.inference_mode()
    def run() -> torch.Tensor:
        vectors = segmenter.method.network.encode_text(prompts).feature
        scores = scores_of(segmenter, pixels, ClassBank(names, vectors), threshold=None)
        return torch.from_numpy(scores.labels(size=(448, 448)).labels)

    return run


def plain(*, classes: int = 21) -> Run:
    """The yardstick's."""
    model = build_model(paper("pgseg-vits16").model).eval()
    pixels, prompts = window(), class_prompts(classes)
    return lambda: yardstick.segment_window(model, pixels, prompts)


def transformers(*, classes: int = 21, trimmed: bool = False) -> Run:
    """transformers' GroupViT, its segmentation logits enlarged and the best class taken."""
    from transformers import GroupViTConfig, GroupViTModel

    config = GroupViTConfig(vision_config={"image_size": 448})
    model = GroupViTModel(config).eval()
    pixels, prompts = window(), class_prompts(classes)
    prompts = prompts[:, :8] if trimmed else prompts

    @torch.inference_mode()
    def run() -> torch.Tensor:
        output = model(
            input_ids=prompts,
            attention_mask=(prompts > 0).long(),
            pixel_values=pixels,
            output_segmentation=True,
        )
        logits = output.segmentation_logits
        logits = F.interpolate(logits, size=(448, 448), mode="bilinear", align_corners=False)
        return logits.argmax(dim=1)[0]

    return run


def with_bank(*, classes: int) -> Run:
    """One photo of 640 x 480 against classes that were embedded before."""
    keep_freed_memory()
    segmenter = segmenter_of(build_model(paper("pgseg-vits16").model), InferenceConfig())
    bank = _bank(classes)
    photo = _photo(0)
    return lambda: segmenter.segment(photo, bank, background=True)


def folder(*, whole: bool, photos: int = 6) -> Run:
    """A folder of photos: read, encoded, labelled and written; or its encoder passes alone."""
    keep_freed_memory()
    segmenter = segmenter_of(build_model(paper("pgseg-vits16").model), InferenceConfig())
    bank, place = _bank(21), Path(tempfile.mkdtemp(prefix="pgseg-bench-"))
    files = [place / f"{i}.jpg" for i in range(photos)]
    for i, file in enumerate(files):
        _photo(i).save(file, quality=92)
    boxes = [window()] * 2 * photos  # 640 x 480 is read at 597 x 448: two windows

    asked = SegmentOptions(background=True)
    job = Job(out=place / "out", question={"weights": "drawn"}, gallery=False)
    segment = partial(segmenter.stream, classes=bank, options=asked)

    def all_of_it() -> None:
        run_job(segment, find_photos([place], outside=job.out), job)

    def encoder_alone() -> None:
        for pixels in boxes:
            segmenter.method.regions(pixels.numpy())

    return all_of_it if whole else torch.inference_mode()(encoder_alone)


def _photo(seed: int) -> Image.Image:
    """Smooth colours with edges, as cheap to compress as a photo."""
    small = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC)


def _bank(classes: int) -> ClassBank:
    vectors = torch.randn(classes, 256, generator=torch.Generator().manual_seed(3))
    return ClassBank(tuple(f"class {i}" for i in range(classes)), F.normalize(vectors, dim=-1))
