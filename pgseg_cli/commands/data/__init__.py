"""`pgseg data`."""
