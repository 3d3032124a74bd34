"""Expand a request into cells and compute them."""
