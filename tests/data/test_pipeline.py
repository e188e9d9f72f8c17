import itertools
import logging
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pgseg_core.config.schema import DataConfig
from pgseg_core.data.batch import NO_NOUN
from pgseg_core.data.pipeline import TrainingReader
from pgseg_core.data.shards import find_shards
from pgseg_core.errors import ConfigError, DataError
from tests.data.conftest import jpeg
from tests.data.test_shards import sample, write_shard

DATA = DataConfig(workers=0, shuffle_buffer=10)


def caption_tokens(texts):
    """Ids that tell the caption's own number too."""
    return torch.tensor([[int(text.split()[-1]), int(text.split()[1])] for text in texts])


def reader(shards, data=DATA, **options):
    values = {"image_size": 16, "tokenize": caption_tokens, "batch_size": 4, "seed": 3}
    return TrainingReader(find_shards(shards), data, **(values | options))


def take(source, count, start=0):
    return list(itertools.islice(source.batches(start), count))


def same(left, right):
    return len(left) == len(right) and all(
        torch.equal(a.images, b.images) and torch.equal(a.tokens, b.tokens)
        for a, b in zip(left, right, strict=True)
    )


def ids(batches):
    return [int(token) for batch in batches for token in batch.tokens[:, 0]]


def test_a_batch_has_the_promised_shapes(prepared):
    source = reader(prepared)
    assert (source.num_samples, source.steps_per_epoch) == (50, 12)
    batch = take(source, 1)[0]
    assert batch.images.shape == (4, 3, 16, 16)
    assert batch.images.dtype == torch.uint8
    assert batch.tokens.shape == (4, 2)
    assert batch.noun_tokens is None


def test_an_epoch_reads_each_pair_at_most_once_in_a_new_order(prepared):
    source = reader(prepared)
    batches = take(source, 36)
    epochs = [ids(batches[start : start + 12]) for start in (0, 12, 24)]
    for epoch in epochs:
        assert len(set(epoch)) == 48
    assert epochs[0] != epochs[1] != epochs[2]
    assert set(epochs[0]) != set(epochs[1])  # what is left over is not always the same


@pytest.mark.parametrize("start", [1, 5, 12, 29])
def test_resuming_is_exact(prepared, start):
    whole = take(reader(prepared), 34)
    assert same(take(reader(prepared), 34 - start, start), whole[start:])


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_processes_changes_nothing(prepared, workers):
    alone = take(reader(prepared), 26)
    assert same(take(reader(prepared, replace(DATA, workers=workers)), 26), alone)
    together = take(reader(prepared, replace(DATA, workers=workers)), 9, start=17)
    assert same(together, alone[17:])


def test_ranks_share_the_epoch_and_make_up_the_whole_batch(prepared):
    whole = take(reader(prepared, batch_size=8), 6)
    ranks = [take(reader(prepared, rank=rank, world_size=2), 6) for rank in (0, 1)]
    assert reader(prepared, world_size=2).steps_per_epoch == 6
    assert not set(ids(ranks[0])) & set(ids(ranks[1]))
    for step in range(6):
        joined = torch.cat([ranks[0][step].images, ranks[1][step].images])
        assert torch.equal(joined, whole[step].images)


def test_seeds_differ(prepared):
    assert ids(take(reader(prepared), 12)) != ids(take(reader(prepared, seed=4), 12))


def test_every_caption_is_drawn_in_time(prepared):
    drawn = Counter(
        tuple(token.tolist()) for batch in take(reader(prepared), 12 * 20) for token in batch.tokens
    )
    assert len(drawn) == 100
    assert 0.35 < sum(count for (_, which), count in drawn.items() if which) / (48 * 20) < 0.65


def test_views_of_a_pair_differ_between_epochs(prepared):
    views = {}
    for batch in take(reader(prepared), 24):
        for image, token in zip(batch.images, batch.tokens, strict=True):
            views.setdefault(int(token[0]), []).append(image)
    pairs = [both for both in views.values() if len(both) == 2]
    assert sum(torch.equal(*both) for both in pairs) < len(pairs) / 4


def test_flips_come_as_often_as_asked_for(tmp_path):
    ramp = Image.fromarray(np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))).convert("RGB")
    samples = [
        sample(n, txt=f"caption 0 of dog {n}".encode()) | {"jpg": jpeg(ramp)} for n in range(40)
    ]
    path = write_shard(tmp_path / "a.tar", samples)
    batches = take(reader(path, replace(DATA, flip=0.25)), 100)
    mirrored = [bool(i[0, 8, 0] > i[0, 8, -1]) for batch in batches for i in batch.images]
    assert abs(sum(mirrored) / len(mirrored) - 0.25) < 0.07


def test_the_models_random_numbers_are_left_alone(prepared):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    take(reader(prepared, replace(DATA, workers=1)), 2)
    assert torch.equal(torch.rand(3), expected)


def test_nouns_of_all_captions_become_prompts_and_one_caption_fills_up(prepared):
    texts = []

    def remember(batch):
        texts.append(list(batch))
        return torch.zeros(len(batch), 5, dtype=torch.long)

    source = reader(
        prepared,
        replace(DATA, num_nouns=3),
        tokenize=remember,
        find_nouns=lambda caption: (
            () if not caption.endswith("2") else ("dog",) if " 0 of " in caption else ("dog", "cat")
        ),
    )
    batch = take(source, 12)[0]
    assert batch.noun_tokens.shape == (4, 3, 5)
    prompts = [text for call in texts[::2] for text in call]
    captions = [text for call in texts[1::2] for text in call]
    for position, caption in enumerate(captions):
        group = prompts[3 * position : 3 * position + 3]
        if caption.endswith("2"):
            assert sorted(text.rstrip(".").split()[-1] for text in group[:2]) == ["cat", "dog"]
            assert group[2] == caption
        else:
            assert group == [caption] * 3


def test_prompts_say_what_they_are_about_and_images_what_they_show(prepared):
    source = reader(
        prepared,
        replace(DATA, num_nouns=2),
        tokenize=lambda texts: torch.zeros(len(texts), 5, dtype=torch.long),
        find_nouns=lambda caption: ("dog", "cat") if caption[-1] in "13579" else ("dog",),
    )
    batches = take(source, 12)[:3]
    numbers = {}
    for batch in batches:
        assert batch.noun_ids.shape == (4, 2)
        for asked, present in zip(batch.noun_ids, batch.image_nouns, strict=True):
            shown = {int(n) for n in present} - {NO_NOUN}
            assert set(asked.tolist()) <= shown
            numbers.setdefault(len(shown), []).append(shown)
    dogs = set.intersection(*(shown for sets in numbers.values() for shown in sets))
    assert len(dogs) == 1  # the same word has the same number in every image
    halves = batches[0].split(2)
    assert torch.equal(torch.cat([half.image_nouns for half in halves]), batches[0].image_nouns)


def test_nouns_without_a_finder_are_refused(prepared):
    with pytest.raises(ConfigError, match=r"data\.num_nouns is 2"):
        reader(prepared, replace(DATA, num_nouns=2))


def test_fewer_pairs_than_a_step_takes_are_refused(prepared):
    with pytest.raises(DataError, match=r"50 image-text pairs are fewer .*\(64\)") as caught:
        reader(prepared, batch_size=32, world_size=2)
    assert "train.batch_size=25" in caught.value.hint


def shard_with_bad(tmp_path, count, bad):
    samples = [sample(number, txt=f"caption 0 of dog {number}".encode()) for number in range(count)]
    for number in bad:
        samples[number]["jpg"] = samples[number]["jpg"][:100]
    return write_shard(tmp_path / "bad.tar", samples)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_sample_is_replaced_counted_and_named(tmp_path, caplog, workers):
    path = shard_with_bad(tmp_path, 40, [5])
    source = reader(path, replace(DATA, workers=workers))
    with caplog.at_level(logging.WARNING):
        batches = take(source, 20)
    epochs = [ids(batches[:10]), ids(batches[10:])]
    for epoch in epochs:
        assert 5 not in epoch
        assert Counter(Counter(epoch).values()) == {1: 38, 2: 1}
    for batch in batches:
        assert len(set(ids([batch]))) == 4
    assert source.num_bad == 2
    assert f"skipped 00005 in {path}: " in caplog.text
    assert caplog.messages[0].count(str(path)) == 1
    assert same(take(reader(path), 20), batches)
    assert same(take(reader(path), 13, start=7), batches[7:])


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_bad_samples_end_the_run(tmp_path, workers):
    path = shard_with_bad(tmp_path, 40, range(0, 40, 5))
    take(reader(path, replace(DATA, workers=workers, max_bad_share=0.2)), 10)
    with pytest.raises(DataError, match=r"8 of 40 samples cannot be read, such as 000\d\d in"):
        take(reader(path, replace(DATA, workers=workers)), 40)


def test_a_large_set_is_checked_early(tmp_path, monkeypatch):
    from pgseg_core.data import pipeline

    monkeypatch.setattr(pipeline, "_FIRST_CHECK", 12)
    path = shard_with_bad(tmp_path, 400, range(0, 400, 3))
    with pytest.raises(DataError, match=r"of 12 samples cannot be read"):
        take(reader(path), 40)


def test_damage_late_in_an_epoch_is_not_left_to_its_end(tmp_path, monkeypatch):
    from pgseg_core.data import pipeline

    monkeypatch.setattr(pipeline, "_FIRST_CHECK", 12)
    path = shard_with_bad(tmp_path, 400, range(200))
    with pytest.raises(DataError, match=r"(\d+) of (\d+) samples cannot be read") as caught:
        take(reader(path), 100)
    assert int(caught.value.message.split()[2]) < 40


def test_a_share_of_zero_ends_the_run_at_the_first(tmp_path):
    path = shard_with_bad(tmp_path, 40, [5])
    with pytest.raises(
        DataError, match=r"1 of \d+ samples .* such as 00005 in .*bad\.tar; data\.max"
    ):
        take(reader(path, replace(DATA, max_bad_share=0.0)), 10)


def test_a_shard_that_goes_missing_is_an_error(tmp_path, prepared):
    folder = tmp_path / "copy"
    shutil.copytree(prepared, folder)
    source = reader(folder)
    (folder / "train-00000.tar").unlink()
    with pytest.raises(DataError, match=r"train-00000\.tar does not exist"):
        take(source, 12)


def test_nothing_but_bad_samples_ends_the_run(tmp_path):
    path = shard_with_bad(tmp_path, 12, range(12))
    with pytest.raises(DataError, match="100 samples one after another cannot be read"):
        take(reader(path), 1)


def test_a_shard_that_changed_is_named(tmp_path, prepared):
    folder = tmp_path / "copy"
    shutil.copytree(prepared, folder)
    source = reader(folder)
    write_shard(folder / "train-00000.tar", [sample(0, txt=b"caption 0 of dog 0")])
    with pytest.raises(DataError, match=r"train-00000\.tar holds 1 samples, not 7"):
        take(source, 12)


def test_shards_beyond_the_open_files_are_closed(prepared, monkeypatch):
    from pgseg_core.data import batch_reader

    expected = take(reader(prepared), 24)
    monkeypatch.setattr(batch_reader, "_OPEN_SHARDS", 2)
    assert same(take(reader(prepared), 24), expected)
