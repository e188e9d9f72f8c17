"""From outputs to pictures. Matplotlib is for figures alone: an overlay does without it."""
