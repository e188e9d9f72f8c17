"""A server with a small model, in a thread of this process, on a free port."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pgseg_cli.server.limits import Limits
from pgseg_cli.server.run import address, build_server, open_port
from pgseg_core.config import InferenceConfig
from pgseg_core.inference.segmenter import Segmenter
from pgseg_core.networks.grouping import build_model
from tests.patience import PATIENCE
from tests.tiny import segmenter_of, tiny_model_config

READING = InferenceConfig(short_side=32, long_side=96, window=32, stride=16)
LIMITS = Limits(upload_bytes=2**20, pixels=4_000_000, waiting=3, classes=20)


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    return segmenter_of(build_model(tiny_model_config(), seed=3), READING, origin="runs/tiny")


@contextmanager
def serving(segmenter: Segmenter, limits: Limits = LIMITS, **options: object) -> Iterator[str]:
    """Serve a model until the end of the block; yields where: http://127.0.0.1:PORT/."""
    started = threading.Event()
    server = build_server(segmenter, limits, host="127.0.0.1", on_start=started.set, **options)
    with open_port("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert started.wait(PATIENCE)
            yield address(listener)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


@pytest.fixture(scope="session")
def server(segmenter: Segmenter) -> Iterator[str]:
    """Where the small model is served."""
    with serving(segmenter) as where:
        yield where
