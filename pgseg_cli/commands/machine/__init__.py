"""`pgseg backends`, `doctor` and `bench`."""
