"""`pgseg viz`."""
