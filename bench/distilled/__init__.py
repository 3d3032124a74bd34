"""Distilled sets: what methods produce and evaluations train on."""
