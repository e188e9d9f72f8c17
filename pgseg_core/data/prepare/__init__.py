"""Sources of image-text pairs to shards: tables, folders with text files, synthetic scenes."""
