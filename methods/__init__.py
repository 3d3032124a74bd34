"""The built-in distillation methods, a file or a folder each; ``shared`` has what several use."""
