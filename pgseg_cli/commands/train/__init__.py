"""`pgseg train`."""
