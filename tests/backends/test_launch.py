"""Ranks that fail: the whole job ends, with the sentence of the one that failed first."""

import pytest

from pgseg_backends.launch import start_ranks
from pgseg_core.errors import PgsegError

pytestmark = pytest.mark.dist

_RANK = "import os, signal, sys, time; rank = int(os.environ['RANK']); "


def test_all_well():
    assert start_ranks(["-c", _RANK + "assert os.environ['WORLD_SIZE'] == '2'"], 2) == 0


def test_a_killed_rank_is_named_and_the_others_are_ended():
    line = _RANK + "os.kill(os.getpid(), signal.SIGKILL) if rank == 1 else time.sleep(600)"
    with pytest.raises(PgsegError, match="rank 1 of 3 was killed by signal 9") as caught:
        start_ranks(["-c", line], 3, again=lambda: "Run it again: pgseg eval")
    assert caught.value.hint.startswith("Run it again: pgseg eval. SIGKILL often means")


def test_an_exit_code_is_named(capfd):
    with pytest.raises(PgsegError, match="rank 0 of 2 ended with exit code 7"):
        start_ranks(["-c", _RANK + "sys.exit(7) if rank == 0 else time.sleep(600)"], 2)


def test_the_cause_is_told_rather_than_its_echo():
    line = """
import os, sys
from pgseg_backends.launch import report_error
from pgseg_core.errors import BackendError, DataError
if os.environ["RANK"] == "0":
    try:
        try:
            raise RuntimeError("gloo")
        except RuntimeError as error:
            raise BackendError("another rank closed the connection") from error
    except BackendError as error:
        report_error(error)
else:
    report_error(DataError("shard 7 is damaged", hint="copy it"))
sys.exit(2)
"""
    with pytest.raises(PgsegError, match="shard 7 is damaged") as caught:
        start_ranks(["-c", line], 2)
    assert caught.value.hint == "copy it"


def test_interrupted_ranks_are_no_error():
    assert start_ranks(["-c", _RANK + "sys.exit(130)"], 2) == 130
