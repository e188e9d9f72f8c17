"""Scores as pure functions of label maps, vectors and counts."""
