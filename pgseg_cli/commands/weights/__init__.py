"""`pgseg models`, `convert` and `export`."""
