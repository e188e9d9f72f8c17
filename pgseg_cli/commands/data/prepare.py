"""`pgseg data prepare`: from tables, folders, web addresses and shards to shards."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgseg_cli.console import Bar, messages, next_step, print_json, print_table, progress_bar, say
from pgseg_cli.options import Json, Overwrite

if TYPE_CHECKING:
    from pgseg_core.data.manifest import Manifest
    from pgseg_core.data.prepare.build import Prepared, Standing

_SECONDS_BETWEEN_LINES = 60  # where there is no terminal to draw a bar on
_REASONS_SHOWN = 3

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Tables (tsv, csv, jsonl, parquet) of images or web addresses and captions, COCO's "
        "captions, Flickr's token file, RedCaps' files, webdataset shards, folders that hold one "
        "of these, or folders of images with a .txt beside each. None: the embedded scenes."
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The folder for the shards.")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="What the sources are, where it is not recognised: tsv, csv, jsonl, json, parquet, "
        "coco, karpathy, redcaps, flickr, shards or folder.",
    ),
]


def prepare(
    sources: Sources = None,
    out: Out = None,
    form: Format = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="Folder that a source's image paths start from.")
    ] = None,
    image_column: Annotated[
        str | None,
        typer.Option(
            "--image-column",
            help="Column of the image's path or address; of COCO, a field such as coco_url.",
        ),
    ] = None,
    caption_column: Annotated[
        str | None, typer.Option("--caption-column", help="Name of the table's caption column.")
    ] = None,
    split_column: Annotated[
        str | None, typer.Option("--split-column", help="Name of the table's split column.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Split of images whose source names none; default: train."),
    ] = None,
    short_side: Annotated[
        int,
        typer.Option("--short-side", help="Bring larger images down to this short side; 0: never."),
    ] = 256,
    min_side: Annotated[
        int, typer.Option("--min-side", help="Leave out images with a shorter short side.")
    ] = 0,
    max_aspect: Annotated[
        float | None,
        typer.Option("--max-aspect", help="Leave out images whose sides differ by more: 3 is 3:1."),
    ] = None,
    min_words: Annotated[
        int, typer.Option("--min-words", help="Drop captions of fewer words.")
    ] = 1,
    max_words: Annotated[
        int | None, typer.Option("--max-words", help="Drop captions of more words.")
    ] = None,
    duplicates: Annotated[
        str,
        typer.Option(
            "--duplicates",
            help="keep: all; exact: leave out a file that came before; near: also an image that "
            "looks like one before.",
        ),
    ] = "keep",
    samples_per_shard: Annotated[
        int, typer.Option("--samples-per-shard", help="Largest number of images in one shard.")
    ] = 1000,
    shard_mb: Annotated[
        int, typer.Option("--shard-mb", min=1, help="Largest size of one shard in megabytes.")
    ] = 1000,
    part: Annotated[
        str | None,
        typer.Option("--part", help="I/N: only the I-th of N parts; see `pgseg data merge`."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Images decoded at a time; default: the cores.")
    ] = None,
    connections: Annotated[
        int, typer.Option("--connections", help="Images fetched from the web at a time.")
    ] = 64,
    per_host: Annotated[
        int, typer.Option("--per-host", help="Images fetched from one host at a time.")
    ] = 8,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Seconds that an attempt to fetch may take.")
    ] = 20.0,
    retries: Annotated[
        int, typer.Option("--retries", help="Further attempts after one that failed by chance.")
    ] = 2,
    max_mb: Annotated[
        float, typer.Option("--max-mb", help="Largest file that is fetched, in megabytes.")
    ] = 32.0,
    user_agent: Annotated[
        str | None, typer.Option("--user-agent", help="What servers are told who asks.")
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Of a finished preparation: ask again for what failed by chance (timed out, "
            "HTTP 503, ...), and keep what comes now.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Turn image-text pairs into webdataset shards, with a manifest that says what is in them.

    Stopped at any moment, the same command goes on where it was.
    """
    from pgseg_cli.commands.data.scenes import SCENES, draw

    if not sources:
        say(f"no source named: preparing the embedded synthetic scenes in {out or SCENES}")
        draw(out or SCENES, overwrite=overwrite, json=json)
        return
    from pgseg_core.data.prepare.build import prepare as prepare_pairs
    from pgseg_core.data.prepare.options import (
        OWN_NAME,
        Downloads,
        Filters,
        PrepareOptions,
        parse_part,
    )
    from pgseg_core.data.prepare.sources import Columns, Reading

    out = out or _default_folder(sources[0])
    options = PrepareOptions(
        format=form,
        reading=Reading(
            columns=Columns(image=image_column, caption=caption_column, split=split_column),
            images=images,
            split=split,
        ),
        filters=Filters(
            min_side=min_side,
            max_aspect=max_aspect,
            min_words=min_words,
            max_words=max_words,
            duplicates=duplicates,
        ),
        downloads=Downloads(
            connections=connections,
            per_host=per_host,
            timeout=timeout,
            retries=retries,
            max_bytes=round(max_mb * 1e6),
            user_agent=user_agent or OWN_NAME,
        ),
        short_side=short_side or None,
        samples_per_shard=samples_per_shard,
        bytes_per_shard=shard_mb * 1_000_000,
        part=None if part is None else parse_part(part),
        overwrite=overwrite,
        retry_failed=retry_failed,
        **({} if threads is None else {"threads": threads}),
    )
    try:
        with progress_bar("preparing") as bar:
            prepared = prepare_pairs(sources, out, options, _Reporter(bar).report)
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on from what is in {out}")
        raise
    if prepared.was_there and retry_failed:
        say(f"of what is left out of {out}, nothing failed by chance")
    show(prepared, out, json=json)


def _default_folder(source: Path) -> Path:
    """Return `data/NAME`, or `data/NAME-shards` where the source itself is there."""
    folder = Path("data") / (source.resolve().stem or "pairs")
    return (
        folder.with_name(f"{folder.name}-shards")
        if folder.resolve() == source.resolve()
        else folder
    )


class _Reporter:
    """Draws how far a preparation is, or says it once a minute where nothing can be drawn."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._began = self._shown = time.monotonic()

    def report(self, standing: "Standing") -> None:
        now = time.monotonic()
        last = standing.done == standing.total
        pause = 0.1 if messages.is_terminal else _SECONDS_BETWEEN_LINES
        if now - self._shown < pause and not last:
            return
        self._shown = now
        if standing.reading:
            self._began = now
            beside = f"lines of {standing.reading} read"
        else:
            beside = _describe(standing, now - self._began)
        self._bar(standing.done, standing.total, beside)
        if not messages.is_terminal and not last:
            of = f" of {standing.total:,}" if standing.total else ""
            say(f"{standing.done:,}{of}: {beside}")


def _describe(standing: "Standing", seconds: float) -> str:
    """Say at what rate images are decided, and what became of them."""
    rate = (standing.done - standing.resumed) / max(seconds, 1e-3)
    words = [f"{rate:,.0f}/s", f"{standing.kept:,} kept, {standing.bytes / 1e6:,.0f} MB"]
    reasons = sorted(standing.left_out.items(), key=lambda item: -item[1])[:_REASONS_SHOWN]
    if reasons:
        words.append("left out: " + ", ".join(f"{reason} {count:,}" for reason, count in reasons))
    return " · ".join(words)


def show(prepared: "Prepared", out: Path, *, json: bool) -> None:
    """Print what a folder holds, what was left out, and what to type next."""
    if prepared.was_there:
        say(f"{out} holds this very preparation already, nothing to do")
    elif prepared.retried:
        say(f"asked again for {prepared.retried:,} images: {prepared.recovered:,} came")
    elif prepared.resumed:
        say(f"went on where it was stopped: {prepared.resumed:,} images were done")
    show_manifest(prepared.manifest, out, json=json)
    part = prepared.manifest.part
    if part is None:
        next_step(f"pgseg train --data {out}")
    else:
        next_step(f"pgseg data merge {out} OTHER_PARTS ... --out SHARDS")


def show_manifest(manifest: "Manifest", out: Path, *, json: bool) -> None:
    """Print a manifest as tables: splits, sources, and the reasons for what was left out."""
    from dataclasses import asdict

    if json:
        print_json(asdict(manifest))
    rows = [
        (
            split,
            f"{manifest.num_samples(split):,}",
            str(len(shards)),
            f"{sum(shard.bytes for shard in shards) / 1e6:.1f}",
        )
        for split, shards in manifest.splits.items()
    ]
    print_table(f"{out}", ("split", "images", "shards", "MB"), rows)
    sources = [
        (
            source.name,
            source.format,
            f"{source.rows:,}",
            f"{source.seen:,}",
            f"{source.kept:,}",
            f"{source.captions:,}",
            f"{source.bytes / 1e6:.1f}",
        )
        for source in manifest.sources
    ]
    print_table(
        "sources", ("source", "format", "rows", "images", "kept", "captions", "MB"), sources, text=2
    )
    left = [
        (source.name, reason, failures.examples[0], f"{failures.count:,}")
        for source in manifest.sources
        for reason, failures in source.failed.items()
    ]
    if left:
        print_table("left out", ("source", "reason", "such as", "images"), left, text=3)
