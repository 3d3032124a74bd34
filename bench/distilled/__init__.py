"""Distilled sets: the results of methods, on which networks are trained and evaluated."""
