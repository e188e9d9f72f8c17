"""Several machines: the hostfile, and two of them played by this one over a stand-in for ssh."""

import os

import pytest

from pgseg_backends.hosts import NODE, Host, own_node, read_hostfile, start_hosts
from pgseg_backends.launch import Node
from pgseg_core.errors import BackendError, ConfigError


def write(folder, text):
    path = folder / "hosts"
    path.write_text(text)
    return path


def test_a_hostfile_is_read_as_deepspeed_reads_it(tmp_path):
    text = "# two machines\nworker-1 slots=4\n\nworker-2.lab  slots = 8 # new\nlast\n"
    hosts = read_hostfile(write(tmp_path, text))
    assert hosts == [Host("worker-1", 4), Host("worker-2.lab", 8), Host("last", 1)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no machine"),
        ("a slots=two\n", "line 1: 'a slots=two' is no machine"),
        ("a slots=0\n", "line 1: 'a slots=0' is no machine"),
        ("a slots=2\na slots=2\n", "line 2: a comes twice"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, text, sentence):
    with pytest.raises(ConfigError) as caught:
        read_hostfile(write(tmp_path, text))
    assert sentence in caught.value.message


def test_a_missing_hostfile_is_named(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_hostfile(tmp_path / "gone")


def test_places_are_passed_on():
    assert own_node({}) is None
    assert own_node({NODE: "4,2,6,first,29500"}) == (Node(4, 6, "first", "29500"), 2)


@pytest.fixture
def far_away(tmp_path, monkeypatch):
    """A program called ssh that runs here what it is given, as the other machine would."""
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nunset PGSEG_NODE\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}{os.pathsep}{os.environ['PATH']}")


def test_every_machine_is_told_its_place(tmp_path, far_away):
    line = "import os,sys,pathlib; place=os.environ['PGSEG_NODE']; "
    line += "pathlib.Path(sys.argv[1], place.split(',')[0]).write_text(place)"
    hosts = [Host("machine-a", 2), Host("machine-b", 3)]
    assert start_hosts(hosts, ["-c", line, str(tmp_path)]) == 0
    first = (tmp_path / "0").read_text().split(",")
    second = (tmp_path / "2").read_text().split(",")
    assert first[:4] == ["0", "2", "5", "machine-a"]
    assert second == ["2", "3", "5", *first[3:]]


def test_a_machine_that_fails_is_named_and_the_other_is_ended(far_away):
    line = (
        "import os,sys,time; sys.exit(3) if os.environ['PGSEG_NODE'][0] == '0' else time.sleep(600)"
    )
    with pytest.raises(BackendError, match="machine-a ended with exit code 3"):
        start_hosts([Host("machine-a", 1), Host("machine-b", 1)], ["-c", line])


def test_localhost_cannot_lead_other_machines():
    with pytest.raises(ConfigError, match="which other machines cannot reach"):
        start_hosts([Host("localhost", 1), Host("machine-b", 1)], ["-c", "pass"])


def test_ranks_of_two_local_machines_find_each_other(tmp_path):
    """`localhost` and `127.0.0.1` stand for two machines, each with its own launcher."""
    inner = "import os; from pgseg_backends.group import ProcessGroup; import torch; "
    inner += "from pgseg_backends.conformance import trial_config; "
    inner += "g = ProcessGroup(trial_config().train); "
    inner += "total = g.comm.sum(torch.tensor(1.0 + g.comm.rank)); "
    inner += "open(os.environ['OUT'] + str(g.comm.rank), 'w').write(str(float(total))); g.close()"
    outer = (
        "from pgseg_backends.hosts import own_node; from pgseg_backends.launch import start_ranks; "
    )
    outer += f"node, slots = own_node(); start_ranks(['-c', {inner!r}], slots, node)"
    os.environ["OUT"] = f"{tmp_path}/"
    try:
        assert start_hosts([Host("localhost", 1), Host("127.0.0.1", 1)], ["-c", outer]) == 0
    finally:
        del os.environ["OUT"]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "3.0", "1": "3.0"}
