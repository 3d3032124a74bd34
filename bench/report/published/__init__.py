"""Published numbers: read them, match them with results, and compare."""
