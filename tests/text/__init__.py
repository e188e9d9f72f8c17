"""Tests of pgseg_core.text, mirroring its modules."""
