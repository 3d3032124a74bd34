"""The ray executor: cells as tasks of a Ray cluster, with its own dependencies and retries."""
