"""Tests of pgseg_core.data, mirroring its modules."""
