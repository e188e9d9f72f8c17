"""Protocol `groupvit` written down once more: its six steps as plain loops over floats.

Shares nothing with the package but the network (`encode_image`, `encode_text`, the projector), so
that a report can be compared with it.
"""

import math

import numpy as np
import torch
from PIL import Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def bilinear(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize (h, w, channels) as OpenCV and torch do with align_corners=False."""
    out = np.zeros((height, width, grid.shape[2]))
    for y in range(height):
        for x in range(width):
            above = max((y + 0.5) * grid.shape[0] / height - 0.5, 0.0)
            left = max((x + 0.5) * grid.shape[1] / width - 0.5, 0.0)
            y0, x0 = min(int(above), grid.shape[0] - 1), min(int(left), grid.shape[1] - 1)
            y1, x1 = min(y0 + 1, grid.shape[0] - 1), min(x0 + 1, grid.shape[1] - 1)
            v, u = above - y0, left - x0
            out[y, x] = (
                (1 - v) * (1 - u) * grid[y0, x0]
                + (1 - v) * u * grid[y0, x1]
                + v * (1 - u) * grid[y1, x0]
                + v * u * grid[y1, x1]
            )
    return out


def starts(length: int, window: int, stride: int) -> list[int]:
    """First pixels of the windows along a side, the last one shifted back inside."""
    if length <= window:
        return [0]
    found = list(range(0, length - window, stride))
    return [*found, length - window]


def softmax(values: list[float]) -> list[float]:
    raised = [math.exp(value - max(values)) for value in values]
    return [value / sum(raised) for value in raised]


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / math.sqrt(float((vector * vector).sum()))


def class_vectors(model, tokenizer, names: list[str]) -> list[np.ndarray]:
    """Step 4, for the one template of the protocol."""
    with torch.no_grad():
        features = model.encode_text(tokenizer([f"a photo of a {name}." for name in names])).feature
    return [unit(feature.double().numpy()) for feature in features]


def window_scores(
    model, window: np.ndarray, classes: list[np.ndarray], threshold: float
) -> np.ndarray:
    """Steps 3, 5 and 6: (h, w, 1 + c) scores of a window's pixels, background first."""
    height, width = window.shape[:2]
    patch = model.config.image.patch_size
    filled = np.zeros((-(-height // patch) * patch, -(-width // patch) * patch, 3))  # mean colour
    filled[:height, :width] = window
    with torch.no_grad():
        pixels = torch.from_numpy(filled).permute(2, 0, 1)[None].float()
        output = model.encode_image(pixels)
        groups = model.project_groups(output.tokens)[0].double().numpy()
        first, second = (stage.soft[0].double().numpy() for stage in output.stages)
    soft = (second @ first).T.reshape(*output.grid, -1)  # groups x 6 times 6 x patches
    owner = bilinear(soft, *filled.shape[:2]).argmax(axis=2)[:height, :width]

    scale = min(math.exp(model.logit_scale.item()), 100.0)
    image = unit(output.feature[0].double().numpy())
    nearness = [float(image @ vector) for vector in classes]
    best_five = sorted(range(len(classes)), key=lambda c: -nearness[c])[:5]
    table = []
    for group in groups:
        affinity = [scale * float(unit(group) @ vector) for vector in classes]
        everywhere = softmax(affinity)
        among_five = dict(zip(best_five, softmax([affinity[c] for c in best_five]), strict=True))
        table.append([everywhere[c] * among_five.get(c, 0.0) for c in range(len(classes))])
    bar = min(threshold, max(max(row) for row in table))
    scores = np.zeros((height, width, 1 + len(classes)))
    for y in range(height):
        for x in range(width):
            own = table[owner[y, x]]
            scores[y, x, 1:] = own
            scores[y, x, 0] = 1.0 if max(own) < bar else 0.0
    return scores


def label_photo(
    model,
    tokenizer,
    photo: Image.Image,
    names: list[str],
    *,
    threshold: float,
    short_side: int,
    long_side: int,
    window: int,
    stride: int,
) -> np.ndarray:
    """Label every pixel: 0 is the background, then the classes in order."""
    factor = min(long_side / max(photo.size), short_side / min(photo.size))
    height, width = int(photo.height * factor + 0.5), int(photo.width * factor + 0.5)
    resized = np.round(bilinear(np.asarray(photo, dtype=float), height, width))
    pixels = (resized / 255 - MEAN) / STD
    classes = class_vectors(model, tokenizer, names)
    total, count = np.zeros((height, width, 1 + len(names))), np.zeros((height, width, 1))
    for top in starts(height, window, stride):
        for left in starts(width, window, stride):
            place = slice(top, top + window), slice(left, left + window)
            total[place] += window_scores(model, pixels[place], classes, threshold)
            count[place] += 1
    return bilinear(total / count, photo.height, photo.width).argmax(axis=2)


def count_pixels(
    predictions: list[np.ndarray], targets: list[np.ndarray], num_classes: int
) -> np.ndarray:
    """Rows target classes, columns predicted ones; 255 is not counted."""
    matrix = np.zeros((num_classes, num_classes), dtype=int)
    for prediction, target in zip(predictions, targets, strict=True):
        for guess, truth in zip(prediction.ravel(), target.ravel(), strict=True):
            if truth != 255:
                matrix[truth, guess] += 1
    return matrix


def mean_iou(matrix: np.ndarray) -> float:
    """Mean over the classes that occur in ground truth or prediction."""
    found = []
    for c in range(len(matrix)):
        union = matrix[c].sum() + matrix[:, c].sum() - matrix[c, c]
        if union:
            found.append(matrix[c, c] / union)
    return sum(found) / len(found)
