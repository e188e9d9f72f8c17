"""`pgseg segment` and `pgseg explain`."""
