"""From files to batches: preparing shards, reading them, evaluation sets, synthetic scenes."""
