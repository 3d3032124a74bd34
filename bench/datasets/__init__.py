"""Real datasets: descriptions, sources, imports and packed uint8 files."""
