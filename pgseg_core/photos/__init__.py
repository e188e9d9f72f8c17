"""Photos, whatever holds them, as RGB."""
