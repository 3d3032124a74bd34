"""Distil a real set into a small one: the method contract and the loop that runs it."""
