"""`pgseg eval`."""
