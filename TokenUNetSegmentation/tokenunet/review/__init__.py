"""Review of a segmentation: what may have been missed, and how far to trust the rest."""
