"""Programs side by side: order, failure, output, claims, interrupts."""

import os
import signal
import sys
import threading
import time

import pytest

from pgseg_core.experiments import load_plan
from pgseg_core.experiments.queue import Crew, Step
from pgseg_core.experiments.runs import CellFolder


def python(what, program, *arguments):
    return Step(what, (sys.executable, "-S", "-c", program, *map(str, arguments)))


@pytest.fixture
def folders(sweep_file, tmp_path):
    out = tmp_path / "out"
    return [CellFolder.of(out, cell) for cell in load_plan(sweep_file, out).cells[:3]]


def make_crew(at_once=2):
    ended = []
    return Crew(at_once, lambda place: {"PLACE": str(place)}, ended.append), ended


def test_steps_run_in_order_and_a_failure_ends_its_cell_alone(folders):
    def steps(folder):
        fails = folder is folders[1]
        return [
            python("first", "import os; print('place', os.environ['PLACE'])"),
            python("second", f"import sys; print('said'); sys.exit({3 if fails else 0})"),
            python("third", "print('third')"),
        ]

    crew, ended = make_crew()
    outcomes = crew.run(folders, steps)
    assert [outcome.how for outcome in outcomes] == ["done", "failed", "done"]
    assert outcomes[1].step.what == "second"
    assert len(ended) == 3
    first, *rest = folders[0].log.read_text().splitlines()
    assert first in ("place 0", "place 1")
    assert rest == ["said", "third"]
    assert folders[1].log.read_text().splitlines()[1:] == ["said"]


def test_a_cell_that_another_sweep_works_on_is_left_alone(folders):
    crew, _ = make_crew()
    with folders[0].claimed() as claim:
        assert claim is not None
        assert crew.run(folders[:1], lambda _: [])[0].how == "elsewhere"
    assert crew.run(folders[:1], lambda _: [])[0].how == "done"


def test_an_interrupt_reaches_the_running_and_spares_the_waiting(folders):
    program = """
import pathlib, signal, sys, time
def save(*_):
    pathlib.Path(sys.argv[1]).write_text("saved")
    sys.exit(130)
signal.signal(signal.SIGINT, save)
pathlib.Path(sys.argv[2]).write_text("ready")
time.sleep(60)
"""

    def steps(folder):
        return [python("train", program, folder.path / "saved", folder.path / "ready")]

    def interrupt():
        while not (folders[0].path / "ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    # a shell that starts the tests in the background has them ignore interrupts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    crew, _ = make_crew(at_once=1)
    thread = threading.Thread(target=interrupt)
    thread.start()
    outcomes = crew.run(folders, steps)
    thread.join()
    assert [outcome.how for outcome in outcomes] == ["stopped"] * 3
    assert (folders[0].path / "saved").read_text() == "saved"
    assert not folders[1].path.exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
