"""The method's equations as plain loops over numbers, in float64: slow, and hard to get wrong."""

import itertools
import math

import numpy as np


def softmax(values: list[float]) -> list[float]:
    top = max(values)
    powers = [math.exp(value - top) for value in values]
    return [power / sum(powers) for power in powers]


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    lengths = math.sqrt(float(left @ left)) * math.sqrt(float(right @ right))
    return float(left @ right) / lengths if lengths else 0.0


def em(source: np.ndarray, start: np.ndarray, iterations: int, eps: float = 1e-6):
    """One image: (n, d) features and (k, d) prototypes to (k, d) and the last (k, n)."""
    prototypes = start.astype(np.float64).copy()
    count, tokens = len(prototypes), len(source)
    for _ in range(iterations):
        share = np.zeros((count, tokens))
        for j in range(tokens):
            share[:, j] = softmax([float(prototypes[i] @ source[j]) for i in range(count)])
        for i in range(count):
            total = sum(share[i, j] for j in range(tokens)) + eps
            mean = sum(share[i, j] / total * source[j] for j in range(tokens))
            prototypes[i] = mean / (math.sqrt(float(mean @ mean)) + eps)
    return prototypes, share


def best_assignment(similarity: np.ndarray, *, maximise: bool) -> float:
    """The extremal total of a one-to-one pairing of rows with columns, by trying all of them."""
    rows, columns = similarity.shape
    totals = [
        sum(similarity[i, pick[i]] for i in range(rows))
        for pick in itertools.permutations(range(columns), rows)
    ]
    return max(totals) if maximise else min(totals)


def reliable(similarity: np.ndarray, threshold: float, eps: float = 1e-6) -> list[bool]:
    """Step 4 for the rows of one image: the pair's own entry, scaled within its row."""
    kept = []
    for i, row in enumerate(similarity):
        scaled = (row[i] - row.min()) / (row.max() - row.min() + eps)
        kept.append(bool(scaled > threshold))
    return kept


def group_prototype_loss(similarity: np.ndarray, scale: float, kept_rows, kept_columns) -> float:
    """L_PG of a batch (b, g, g), both directions over their kept rows."""
    total = 0.0
    for tables, kept in ((similarity, kept_rows), (similarity.transpose(0, 2, 1), kept_columns)):
        terms = [
            -math.log(softmax([scale * value for value in tables[b, i]])[i])
            for b in range(len(tables))
            for i in range(tables.shape[1])
            if kept[b][i]
        ]
        total += sum(terms) / len(terms) if terms else 0.0
    return total


def info_nce(image: np.ndarray, text: np.ndarray, scale: float) -> float:
    size = len(image)
    table = [[scale * cosine(image[i], text[j]) for j in range(size)] for i in range(size)]
    to_text = [-math.log(softmax(table[i])[i]) for i in range(size)]
    to_image = [-math.log(softmax([table[i][j] for i in range(size)])[j]) for j in range(size)]
    return (sum(to_text) / size + sum(to_image) / size) / 2


def group_nce(groups: np.ndarray, text: np.ndarray, scale: float) -> float:
    size, count = groups.shape[:2]
    table = [
        [
            math.log(
                sum(math.exp(scale * cosine(groups[i, g], text[j])) for g in range(count)) / count
            )
            for j in range(size)
        ]
        for i in range(size)
    ]
    to_text = [-math.log(softmax(table[i])[i]) for i in range(size)]
    to_image = [-math.log(softmax([table[i][j] for i in range(size)])[j]) for j in range(size)]
    return (sum(to_text) / size + sum(to_image) / size) / 2


def multi_label_nce(image: np.ndarray, prompts: np.ndarray, scale: float) -> float:
    images, labels = prompts.shape[:2]
    forward, back = [], []
    for i in range(images):
        powers = {
            (j, m): math.exp(scale * cosine(image[i], prompts[j, m]))
            for j in range(images)
            for m in range(labels)
        }
        own = sum(powers[i, m] for m in range(labels))
        forward.append(-math.log(own / sum(powers.values())))
    for j in range(images):
        for m in range(labels):
            row = [scale * cosine(image[i], prompts[j, m]) for i in range(images)]
            back.append(-math.log(softmax(row)[j]))
    return (sum(forward) / len(forward) + sum(back) / len(back)) / 2


def shared_noun_nce(
    image: np.ndarray, prompts: np.ndarray, ids: np.ndarray, present: list[set[int]], scale: float
) -> float:
    """Every copy of a noun stands in for the noun in turn; the others are left out."""
    images, labels = ids.shape
    places = [(j, m) for j in range(images) for m in range(labels)]
    copies = {p: sum(ids[p] == ids[q] for q in places) for p in places}
    fit = {(i, p): scale * cosine(image[i], prompts[p]) for i in range(images) for p in places}
    forward = []
    for i in range(images):
        every = sum(math.exp(fit[i, p]) / copies[p] for p in places)
        own = [p for p in places if ids[p] in present[i]]
        nouns = len({ids[p] for p in own})
        shares = [math.log(math.exp(fit[i, p]) / every) / copies[p] for p in own]
        forward.append(-sum(shares) / nouns)
    back, weights = [], []
    for p in places:
        row = softmax([fit[i, p] for i in range(images)])
        having = [i for i in range(images) if ids[p] in present[i]]
        back.append(-sum(math.log(row[i]) for i in having) / len(having))
        weights.append(1 / copies[p])
    mean_back = sum(w * b for w, b in zip(weights, back, strict=True)) / sum(weights)
    return (sum(forward) / len(forward) + mean_back) / 2
