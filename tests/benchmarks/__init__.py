"""Programs that measure; `python -m tests.benchmarks.NAME --help` says what each one does."""
