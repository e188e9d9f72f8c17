"""Tables of many runs: what differs, what was measured, and how sure it is."""

from pgseg_core.experiments.plan import Cell, Measurement, Plan, load_plan
from pgseg_core.experiments.table import Table, collect

__all__ = ["Cell", "Measurement", "Plan", "Table", "collect", "load_plan"]
