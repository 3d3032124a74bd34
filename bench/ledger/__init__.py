"""The store: what has been computed, on disk, keyed by content. Disk is the only truth."""
