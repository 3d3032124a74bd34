"""Evaluation of distilled sets: train networks on them by a named protocol, and test these."""
