"""Distilled sets from elsewhere and for elsewhere: foreign layouts read, ours exported."""
