"""`pgseg sweep`."""
