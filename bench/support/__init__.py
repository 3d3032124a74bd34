"""Errors, files, seeds, stopping, and facts about the machine, used by every other package."""
