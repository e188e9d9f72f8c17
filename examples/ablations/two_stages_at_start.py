"""Why two grouping stages collapse: what an untrained model does with 64 scenes.

    python examples/ablations/two_stages_at_start.py

Prints the spread of the assignment's logits, how flat each stage's map is (entropy over its groups,
1 is flat), and how many groups an image is cut into: by each stage's own best groups, by the
product of the two maps (what segmentation reads), and by following each patch's best group of stage
1 to that group's best of stage 2. Last, the Rand index of the product's maps between images.
"""

import math
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgseg_core.config import load_config
from pgseg_core.data.scenes import render_scene
from pgseg_core.data.transforms import normalise, to_tensor
from pgseg_core.evaluation.metrics.quality import adjusted_rand
from pgseg_core.networks.grouping import build_model

NUM_SCENES, SIDE, SEEDS = 64, 64, (0, 1, 2)
ROWS = {
    "as published": ("model.image.assign_scale=1",),
    "scale 10": ("model.image.assign_scale=10",),
    "scale 30": ("model.image.assign_scale=30",),
    "scale 100": ("model.image.assign_scale=100",),
}


@torch.no_grad()
def main() -> None:
    """Print one row for each scale, averaged over seeds of the weights."""
    scenes = [render_scene(0, index, (SIDE, SIDE)).image for index in range(NUM_SCENES)]
    images = torch.stack([normalise(to_tensor(scene)) for scene in scenes])
    base = Path(__file__).parent / "bases/two_stages.yaml"
    print(f"{'':14} logits   flatness    groups used                     between images")
    print(f"{'':14} std      1     2     1     2     product  followed   ARI of product")
    for name, changes in ROWS.items():
        config = load_config(base, changes).model
        seen = torch.tensor([measure(images, build_model(config, seed=seed)) for seed in SEEDS])
        std, flat_1, flat_2, used_1, used_2, product, followed, alike = seen.mean(dim=0).tolist()
        print(
            f"{name:14} {std:.3f}    {flat_1:.3f} {flat_2:.3f} {used_1:5.1f} {used_2:5.1f} "
            f"{product:8.1f} {followed:9.1f} {alike:13.2f}"
        )


def measure(images: Tensor, model: torch.nn.Module) -> list[float]:
    """Return the numbers of one row."""
    output = model.eval().encode_image(images)
    first, second = (stage.soft for stage in output.stages)
    best_1, best_2 = first.argmax(dim=1), second.argmax(dim=1)  # (b, n), (b, g)
    product = output.group_maps().argmax(dim=1)
    logits = first.log()
    return [
        (logits - logits.mean(dim=1, keepdim=True)).std().item(),
        flatness(first),
        flatness(second),
        groups_used(best_1),
        groups_used(best_2),
        groups_used(product),
        groups_used(best_2.gather(1, best_1)),
        sum(adjusted_rand(a.numpy(), b.numpy()) for a, b in pairwise(product)) / (len(images) - 1),
    ]


def flatness(soft: Float[Tensor, "b g n"]) -> float:
    """Mean entropy of the assignments over the largest possible."""
    entropy = -(soft * soft.clamp_min(1e-12).log()).sum(dim=1).mean()
    return entropy.item() / math.log(soft.shape[1])


def groups_used(maps: Int[Tensor, "b n"]) -> float:
    """Mean number of different groups in an image."""
    return sum(len(image.unique()) for image in maps) / len(maps)


if __name__ == "__main__":
    main()
