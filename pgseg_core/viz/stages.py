"""From the encoder's outputs to what a figure shows of each grouping stage."""

import torch
from einops import einsum
from PIL import Image

from pgseg_core.data.transforms import normalise
from pgseg_core.inference.resize import resize_photo
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.model import GroupingOutput
from pgseg_core.npr import cosine_similarity, match, reliable_pairs, take_matched
from pgseg_core.viz.prototypes import StageView


@torch.inference_mode()
def view_stages(
    segmenter: Segmenter, photo: Image.Image
) -> tuple[Image.Image, tuple[StageView, ...]]:
    """Encode a photo in one window and describe every grouping stage on the patch grid.

    Later stages group groups, so their maps and responsibilities are carried back to the patches
    through the soft assignments before them.

    Args:
        segmenter: The model.
        photo: RGB.

    Returns:
        The photo as the model saw it, and one view a stage.
    """
    pixels = resize_photo(photo, segmenter.inference)
    output = segmenter.encode(normalise(pixels)[None])
    rows, columns = output.grid
    onto_patches = torch.eye(rows * columns, device=segmenter.device)[None]  # (1, n, n)
    views = []
    for stage in output.stages:
        groups_on_patches = einsum(stage.soft.float(), onto_patches, "b g m, b m n -> b g n")
        view = _view(segmenter, stage, groups_on_patches, onto_patches, (rows, columns))
        views.append(view)
        onto_patches = groups_on_patches
    return Image.fromarray(pixels.numpy()), tuple(views)


def _view(
    segmenter: Segmenter,
    stage: GroupingOutput,
    groups_on_patches: torch.Tensor,
    onto_patches: torch.Tensor,
    grid: tuple[int, int],
) -> StageView:
    group_map = groups_on_patches[0].argmax(dim=0).reshape(grid).cpu().numpy()
    num_groups = groups_on_patches.shape[1]
    estimate, npr = stage.estimate, segmenter.model.config.npr
    if estimate is None:
        return StageView(group_map=group_map, num_groups=num_groups)
    responsibility = einsum(estimate.responsibility, onto_patches, "b k m, b m n -> b k n")
    queries = stage.queries.float()
    similarity = cosine_similarity(queries, estimate.prototypes)
    matched = match(similarity, maximise=npr.variant == "paper")
    similarity = take_matched(similarity, matched)
    kept, _ = reliable_pairs(similarity, threshold=npr.threshold, variant=npr.variant)
    return StageView(
        group_map=group_map,
        num_groups=num_groups,
        responsibility=responsibility[0].unflatten(1, grid).cpu().numpy(),
        matched=matched[0].cpu().numpy(),
        similarity=similarity[0].diagonal().cpu().numpy(),
        kept=kept[0].cpu().numpy(),
    )
