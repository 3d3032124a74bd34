"""Where the cells of a grid are computed: adapters that launch and watch, nothing more.

What was computed is in the store, and only there. An executor may lose any process at any time.
"""
