"""Engines that run training steps, and the registry that finds them."""
