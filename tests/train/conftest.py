"""Runs train on the shards that the data tests prepare."""

from tests.data.conftest import prepared

__all__ = ["prepared"]
