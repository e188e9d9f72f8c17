"""A segmented photo on disk: pictures, masks, numbers, and the formats of other programs."""
