"""Our results against each other: paired differences, baselines and ranks, with intervals."""
