"""The built-in distillation methods, one file each; registered as entry points."""
