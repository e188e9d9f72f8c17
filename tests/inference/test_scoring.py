"""Class scores of groups: the protocol's steps as written, and their properties."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pgseg_core.inference.score_map import ScoreMap
from pgseg_core.inference.scoring import Decision, background_bar, class_embedding, region_scores
from pgseg_core.methods.groups import patch_vectors, shared_by_alike
from pgseg_core.methods.method import Rule
from tests.npr.test_em import draw


def test_scores_equal_the_protocol_step_by_step():
    groups, image, classes = draw(1, 2, 3, 8), draw(2, 2, 8), draw(3, 7, 8)
    scores = region_scores(groups, image, classes, 9.0, Rule(top_k=4))
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
    by_image = region_scores(groups, image, classes, 9.0, Rule(top_k=2))
    by_groups = region_scores(groups, image, classes, 9.0, Rule(top_k=2, top_k_by="groups"))
    assert by_image[0, 2].argmax() == 1
    assert by_groups[0, 2].argmax() == 2
    assert (by_groups > 0).sum(dim=-1).tolist() == [[2, 2, 2]]
    all_of_them = [
        region_scores(groups, image, classes, 9.0, Rule(top_k=3, top_k_by=candidates))
        for candidates in ("image", "groups")
    ]
    torch.testing.assert_close(*all_of_them)


def test_fewer_classes_than_top_k():
    scores = region_scores(draw(1, 1, 2, 4), draw(2, 1, 4), draw(3, 2, 4), 5.0, Rule())
    torch.testing.assert_close(scores.sqrt().sum(-1), torch.ones(1, 2, dtype=torch.float64))


def test_background_takes_groups_below_the_bar():
    scores = torch.tensor([[[0.6, 0.1], [0.3, 0.2]]])
    assert background_bar(scores, 0.5)[0, :, 0].tolist() == [0.0, 1.0]
    # The bar never rises above the image's best score: the surest group stays.
    assert background_bar(scores, 0.95)[0, :, 0].tolist() == [0.0, 1.0]
    assert background_bar(scores, 0.2)[0, :, 0].tolist() == [0.0, 0.0]


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


def test_softmax_is_the_first_factor_and_pixel_softmax_waits_for_the_pixels():
    groups, classes = draw(1, 2, 3, 8), draw(2, 5, 8)
    cosines = F.cosine_similarity(groups[:, :, None], classes, dim=-1)
    rule = Rule(scores="softmax", top_k=None)
    torch.testing.assert_close(
        region_scores(groups, None, classes, 7.0, rule), (7 * cosines).softmax(-1)
    )
    rule = Rule(scores="pixel_softmax", top_k=None)
    torch.testing.assert_close(region_scores(groups, None, classes, 7.0, rule), cosines)


COLUMNS = torch.tensor(  # four queries at four pixels; the first two mean class 0
    [[0.1, 0.2, 0.1, 0.3], [0.2, 0.1, 0.4, 0.1], [0.3, 0.2, 0.3, 0.2], [0.4, 0.1, 0.2, 0.05]]
)[:, None]
KEPT = np.arange(4)


@pytest.mark.parametrize("kind", [torch.tensor, np.array])
@pytest.mark.parametrize(
    ("background", "threshold", "labels"),
    [
        ("none", None, [2, 0, 0, 0]),  # a tie goes to the first query
        ("probability", 0.3, [2, 0, 0, 0]),
        ("probability", 0.41, [0, 0, 0, 0]),
        ("constant_score", 0.4, [0, 0, 0, 0]),
        ("constant_score", 0.39, [2, 0, 0, 0]),
    ],
)
def test_the_best_query_speaks_for_its_class(kind, background, threshold, labels):
    decision = Decision((0, 0, 1, 2), 3, background, (threshold, None))
    found, best = decision.answers(kind(COLUMNS.numpy()), KEPT)
    assert found[0].flatten().tolist() == labels
    assert found[1].flatten().tolist() == [2, 0, 0, 0]
    np.testing.assert_allclose(np.asarray(best[1]).ravel(), [0.4, 0.2, 0.4, 0.3])
    scores = np.asarray(decision.class_scores(kind(COLUMNS.numpy()), KEPT))
    np.testing.assert_allclose(scores[0].ravel(), [0.2, 0.2, 0.4, 0.3])
    np.testing.assert_allclose(scores[2].ravel(), COLUMNS[3].ravel())


def test_pixel_softmax_is_taken_over_queries_and_not_over_classes():
    decision = Decision((0, 0, 1, 2), 3, "probability", (0.3,), scale=10.0)
    (found,), (best,) = decision.answers(COLUMNS, KEPT)
    chances = (10 * COLUMNS).softmax(0)
    torch.testing.assert_close(best, chances.amax(0))
    expected = torch.tensor([0, 0, 1, 2])[chances.argmax(0)]
    assert found.equal(torch.where(chances.amax(0) < 0.3, 0, expected))


@pytest.mark.parametrize(("share", "labels"), [(0.0, [1, 2, 2, 2]), (0.25, [2, 2, 2, 2])])
def test_a_class_of_too_small_an_area_leaves_its_pixels_to_the_next_best(share, labels):
    """SCLIP: classes with at most this share of all that is not background score 0."""
    columns = torch.tensor([[0.1, 0.1, 0.1, 0.1], [0.6, 0.2, 0.2, 0.2], [0.5, 0.6, 0.6, 0.6]])
    decision = Decision((0, 1, 2), 3, "probability", (0.05,), least_area=share)
    scores = ScoreMap(columns.reshape(3, 2, 2), decision, np.arange(3))
    assert scores.answers(size=(2, 2)).ravel().tolist() == labels
    assert scores.labels(size=(2, 2)).labels.ravel().tolist() == labels
