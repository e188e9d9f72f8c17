"""Speed and memory beside the peers: `make bench`, `pgseg bench`, `python -m tests.benchmarks`.

Every program runs in a process of its own and all of them take turns (A B C A B C ...), so that
what else happens on the machine meets them alike; ratios are taken turn by turn.

`python -m tests.benchmarks.reading --help` measures the reader of training data.
"""
