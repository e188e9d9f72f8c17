<<<<<<< HEAD
"""Programs that measure; `python -m tests.benchmarks.NAME --help` says what each one does."""
=======
"""Speed and memory beside the peers: `make bench`, `pgseg bench`, `python -m tests.benchmarks`.

Every program runs in a process of its own and all of them take turns (A B C A B C ...), so that
what else happens on the machine meets them alike; ratios are taken turn by turn.
"""
>>>>>>> 442ddd0 (Benchmarks: programs in turns, a plain yardstick, transformers beside us; make bench, pgseg bench)
