"""The local executor: worker processes on this machine, each with a GPU or a share of the cores."""
