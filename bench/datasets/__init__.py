"""Real datasets: specs, sources, packed uint8 files."""
