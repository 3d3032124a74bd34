"""The built-in network architectures, one file per family; registered as entry points."""
