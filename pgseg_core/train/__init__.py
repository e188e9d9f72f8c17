"""From batches to weights: the task, the optimiser, the loop."""
