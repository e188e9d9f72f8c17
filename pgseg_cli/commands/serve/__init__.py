"""`pgseg serve`."""
