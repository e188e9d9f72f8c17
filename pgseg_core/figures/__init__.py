"""Figures of what a model does, at the width that a paper prints them."""
