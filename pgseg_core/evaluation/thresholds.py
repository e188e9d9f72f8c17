"""Background settings that were found out elsewhere: on the weights' card, or by a sweep.

A threshold that was chosen on the very images that are measured makes no test. So a setting comes
with the images that it was chosen on, and the report says so.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pgseg_core.errors import CheckpointError, DataError
from pgseg_core.evaluation.report.compare import read_report
from pgseg_core.evaluation.report.report import ImageCounts, Report
from pgseg_core.evaluation.resolve import Overrides
from pgseg_core.text.background import BackgroundWords
from pgseg_core.weights import Recommended

RECOMMENDED = "recommended"
"""As `Overrides.background`: what the weights' card says."""


def background_file(background: str) -> Path | None:
    """Return the report that a setting names, or its folder; None where it names none."""
    path = Path(background)
    is_word = background in {"auto", "none", RECOMMENDED}
    return path if not is_word and (path.suffix == ".json" or path.is_dir()) else None


def as_recommended(wanted: Overrides, recommended: Recommended) -> Overrides:
    """Take the threshold of a card, and its words where none were asked for.

    Raises:
        CheckpointError: The card has no threshold.
    """
    if recommended.background is None:
        raise CheckpointError(
            "--background recommended: these weights recommend nothing",
            hint="Choose a threshold on other images: pgseg eval --sweep-background --out tuned/ "
            "and then --background tuned/",
        )
    where = f" (tuned on {recommended.tuned_on})" if recommended.tuned_on else ""
    return _with(
        wanted,
        recommended.background,
        recommended.background_words,
        f"the weights' card{where}",
    )


def as_tuned(wanted: Overrides, file: Path) -> Overrides:
    """Take the best threshold of a sweep, and its words where none were asked for.

    Args:
        wanted: What is wanted otherwise.
        file: The sweep's report.json, or its folder.

    Raises:
        DataError: The file cannot be read, or is a report without a sweep.
    """
    swept = read_report(file)
    if swept.sweep is None:
        raise DataError(
            f"--background {file}: this report has no sweep over thresholds",
            hint="Write it with --sweep-background, on other images than those to be measured.",
        )
    source = f"a sweep over {swept.sweep.tuned_on} ({file})"
    words = BackgroundWords(swept.background_words, swept.background_words_from)
    return _with(wanted, swept.sweep.best_threshold, words, source)


def admit_tuning(report: Report, file: Path) -> Report:
    """Say in a report whether its images are among those that its threshold was tuned on.

    They are the same where name and ground truth are.
    """
    swept = read_report(file)
    if swept.class_names != report.class_names:
        return report
    same = len({_truth(image) for image in swept.images} & {_truth(i) for i in report.images})
    if not same:
        return report
    source = f"{report.threshold_from}; {same} of those images are measured here: no test"
    return replace(report, threshold_from=source)


def _truth(image: ImageCounts) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return an image's name and its ground truth's pixels of each class."""
    shown = zip(image.classes, image.target, strict=True)
    return image.name, tuple((label, pixels) for label, pixels in shown if pixels)


def _with(
    wanted: Overrides,
    threshold: float,
    words: BackgroundWords | str | Sequence[str] | None,
    source: str,
) -> Overrides:
    return replace(
        wanted,
        background=f"{threshold!r}",
        background_from=source,
        background_words=words if wanted.background_words is None else wanted.background_words,
    )
