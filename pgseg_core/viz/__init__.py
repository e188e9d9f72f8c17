"""Labels as pictures: overlays and legends without matplotlib, and a sheet for figures with it."""
