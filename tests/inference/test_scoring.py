"""Class scores of groups: the protocol's steps as written, and their properties."""

import pytest
import torch
import torch.nn.functional as F

from pgseg_core.inference.scoring import (
    class_embedding,
    class_scores,
    patch_vectors,
    shared_by_alike,
    with_background,
)
from tests.npr.test_em import draw


def test_scores_equal_the_protocol_step_by_step():
    groups, image, classes = draw(1, 2, 3, 8), draw(2, 2, 8), draw(3, 7, 8)
    scores = class_scores(groups, image, classes, torch.tensor(9.0), top_k=4)
    for b in range(2):
        unit = [c / c.norm() for c in classes]
        best = sorted(range(7), key=lambda c: -float(image[b] @ unit[c]))[:4]
        for g in range(3):
            cosines = torch.stack([9 * (groups[b, g] / groups[b, g].norm()) @ c for c in unit])
            overall = cosines.softmax(0)
            among = torch.zeros(7, dtype=torch.float64)
            among[best] = cosines[best].softmax(0)
            torch.testing.assert_close(scores[b, g], overall * among)


def test_candidates_are_those_that_the_image_or_a_single_group_fits_best():
    """A small thing in an image of something else is a candidate by its group alone."""
    street, dog = torch.eye(4)[0], torch.eye(4)[1]
    groups = torch.stack([street, street, dog])[None]
    image, classes = groups.mean(dim=1), torch.stack([street, street + 0.6 * dog, dog])
    scale = torch.tensor(9.0)
    by_image = class_scores(groups, image, classes, scale, top_k=2)
    by_groups = class_scores(groups, image, classes, scale, top_k=2, candidates="groups")
    assert by_image[0, 2].argmax() == 1
    assert by_groups[0, 2].argmax() == 2
    assert (by_groups > 0).sum(dim=-1).tolist() == [[2, 2, 2]]
    all_of_them = [
        class_scores(groups, image, classes, scale, top_k=3, candidates=candidates)
        for candidates in ("image", "groups")
    ]
    torch.testing.assert_close(*all_of_them)


def test_fewer_classes_than_top_k():
    scores = class_scores(draw(1, 1, 2, 4), draw(2, 1, 4), draw(3, 2, 4), torch.tensor(5.0))
    torch.testing.assert_close(scores.sqrt().sum(-1), torch.ones(1, 2, dtype=torch.float64))


def test_background_takes_groups_below_the_bar():
    scores = torch.tensor([[[0.6, 0.1], [0.3, 0.2]]])
    assert with_background(scores, 0.5)[0, :, 0].tolist() == [0.0, 1.0]
    # The bar never rises above the image's best score: the surest group stays.
    assert with_background(scores, 0.95)[0, :, 0].tolist() == [0.0, 1.0]
    assert with_background(scores, 0.2)[0, :, 0].tolist() == [0.0, 0.0]


def test_class_embedding_is_the_unit_mean():
    prompts = draw(4, 3, 5)
    mean = prompts.mean(0)
    torch.testing.assert_close(class_embedding(prompts), mean / mean.norm())


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_patch_vector_mixes_cosines(share):
    groups, patches, classes = draw(1, 2, 3, 8), draw(2, 2, 5, 8), draw(3, 4, 8)
    maps = draw(4, 2, 3, 5).softmax(dim=1)
    mixed = patch_vectors(groups, patches, maps, share)
    for b in range(2):
        for n in range(5):
            own, group = patches[b, n], groups[b, maps[b, :, n].argmax()]
            expected = (1 - share) * F.cosine_similarity(group, classes, dim=-1)
            expected += share * F.cosine_similarity(own, classes, dim=-1)
            torch.testing.assert_close(mixed[b, n] @ F.normalize(classes, dim=-1).T, expected)


def test_alike_patches_share_what_they_say():
    """Against a loop over patches."""
    vectors, looks = draw(1, 2, 5, 3), draw(2, 2, 5, 4)
    found = shared_by_alike(vectors, looks, 0.3)
    for image in range(2):
        centred = [look - looks[image].mean(dim=0) for look in looks[image]]
        for patch in range(5):
            weights = [
                ((centred[patch] @ other) / (centred[patch].norm() * other.norm()) / 0.3).exp()
                for other in centred
            ]
            mean = sum(w * v for w, v in zip(weights, vectors[image], strict=True)) / sum(weights)
            torch.testing.assert_close(found[image, patch], mean)


def test_little_temperature_leaves_each_patch_with_its_own():
    vectors, looks = draw(1, 1, 5, 3), draw(2, 1, 5, 4)
    torch.testing.assert_close(shared_by_alike(vectors, looks, 1e-3), vectors)
