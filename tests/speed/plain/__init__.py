"""Each stage as a plain eager loop, as the papers' released code has it: what to compare with.

Written anew, from the descriptions and the structure of VICO-UoE/DatasetCondensation (utils.py,
networks.py, main_DM.py) and vimar-gu/DiM (gan_model.py, pool_match.py). Nothing here is meant to
be fast, and nothing here uses what this package does to be fast: stock ``torch.nn`` layers, one
batch after the other from a ``DataLoader``, ``item()`` after every step. The one difference is
that random numbers come from a given generator, so that a test can replay this package's draws.
"""
