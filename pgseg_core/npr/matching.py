"""One-to-one pairing of group tokens and prototypes: Algorithm 1, step 3.

The exact method runs on the host, in threads of its own: whoever needs pairs can ask for them
early (`start_match`), go on computing, and collect them where they are needed.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

MOST_THREADS = 8


def cosine_similarity(
    left: Float[Tensor, "b g d"], right: Float[Tensor, "b k d"]
) -> Float[Tensor, "b g k"]:
    """Cosine between every pair, in [-1, 1]; 0 where a vector is zero."""
    return einsum(F.normalize(left, dim=-1), F.normalize(right, dim=-1), "b g d, b k d -> b g k")


def match(similarity: Float[Tensor, "b g k"], *, maximise: bool = True) -> Int[Tensor, "b g"]:
    """Pair every group with its own prototype so that the total similarity is extremal.

    Exact (Hungarian method), image by image, after one transfer of the whole batch to the host.
    Similarities that are not numbers are matched somehow: the loss made of them is not a number
    either, and is stopped where losses are checked.

    Args:
        similarity: Of groups and prototypes; k >= g.
        maximise: True pairs the most similar (the paper); False the least (the released code).

    Returns:
        The index of each group's prototype, on the device of `similarity`.

    Raises:
        ValueError: There are fewer prototypes than groups.
    """
    return start_match(similarity, maximise=maximise)()


@torch.no_grad()
def start_match(
    similarity: Float[Tensor, "b g k"], *, maximise: bool = True
) -> Callable[[], Int[Tensor, "b g"]]:
    """Begin `match`; calling what it returns waits for the pairs.

    The transfer to the host does not wait for a GPU either: the threads do.
    """
    num_groups, num_prototypes = similarity.shape[1:]
    if num_prototypes < num_groups:
        raise ValueError(f"{num_groups} groups cannot each have one of {num_prototypes} prototypes")
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - half a second to import

    similarity = similarity.detach().float().nan_to_num(nan=-1.0)
    on_gpu = similarity.is_cuda
    arrived = torch.cuda.Event() if on_gpu else None
    table = torch.empty(similarity.shape, pin_memory=True) if on_gpu else similarity
    if arrived is not None:
        table.copy_(similarity, non_blocking=True)
        arrived.record()

    def solve(part: Float[Tensor, "c g k"]) -> list[Int[np.ndarray, " g"]]:
        if arrived is not None:
            arrived.synchronize()
        return [linear_sum_assignment(image, maximize=maximise)[1] for image in part.numpy()]

    threads = _threads()
    parts = [threads.submit(solve, part) for part in table.tensor_split(_num_threads())]

    def collect() -> Int[Tensor, "b g"]:
        columns = [column for part in parts for column in part.result()]
        return torch.from_numpy(np.stack(columns)).to(similarity.device, non_blocking=True)

    return collect


def take_matched(
    similarity: Float[Tensor, "b g k"], matched: Int[Tensor, "b g"]
) -> Float[Tensor, "b g g"]:
    """Reorder the prototypes so that column j belongs to group j: similarities of G and P^h."""
    return similarity.gather(2, matched[:, None, :].expand(-1, similarity.shape[1], -1))


def _num_threads() -> int:
    return min(os.cpu_count() or 1, MOST_THREADS)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_num_threads(), thread_name_prefix="matching")
