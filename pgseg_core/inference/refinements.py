"""How masks may be fitted to a photo's edges, by name: what every method offers alike."""

REFINEMENTS = ("none", "pamr", "crf")
"""As they are, PAMR (`refine.py`), or the fully connected CRF (`crf.py`)."""

PAMR_ITERATIONS = 10
"""How often PAMR takes the mean, in protocol `tcl`."""
PAMR_DILATIONS = (1, 2, 4, 8, 12, 24)
"""Distances in pixels at which the eight neighbours lie, in protocol `tcl`."""
PAMR_SHARPNESS = 0.1
"""How different a neighbour may be, in deviations of the colours around a pixel."""
