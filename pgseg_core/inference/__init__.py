"""From a photo and class names to a label for every pixel."""
