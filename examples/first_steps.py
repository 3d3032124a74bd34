# %% [markdown]
# # From a dataset to a table and a gallery
#
# The Python API, step by step, on the digits that come with scikit-learn: less than a minute on two
# CPU cores. The text is [examples/first_steps.py](../examples/first_steps.py), a script of cells:
# run it with `python examples/first_steps.py`, open it in VS Code or Jupyter (with jupytext) cell
# by cell, or copy what you need. A test runs it.

# %%
from pathlib import Path

import bench

# %% [markdown]
# ## Real data
#
# A dataset has a training and a test split, uint8 on a device. Methods see the training split only.

# %%
real = bench.load_dataset("digits", device="cpu")
print(real.train.images.shape, real.test.images.shape)

# %% [markdown]
# ## Two functions on tensors
#
# `distil` makes a small set of a large one, `evaluate` trains networks on it and tests them.
# Neither needs a store. Twenty steps of DM are few; `bench.distil("dm", real.train, ipc=10)` would
# take the paper's 20,000.

# %%
made = bench.distil("dm", real.train, ipc=10, profile="smoke", params={"iterations": 20})
print(made.distilled.images.shape, f"{made.budget.stored_bytes} bytes, {made.cost.seconds:.1f} s")
result = bench.evaluate(made.distilled, real.test, arch="convnet3", protocol="smoke", seeds=2)
print("accuracy of each network:", [round(each, 1) for each in result.accuracies])

# %% [markdown]
# Tensors of your own are evaluated alike: here the first ten training images of each class.

# %%
first = [int(i) for own in real.train.class_indices for i in own[:10]]
images, labels = real.train.images[first], real.train.labels[first]
mine = bench.evaluate(images, real.test, labels=labels, protocol="smoke", seeds=2)
print("of these images:", [round(each, 1) for each in mine.accuracies])

# %% [markdown]
# ## A grid
#
# `run` computes datasets × methods × IPC through a store, which holds every result under the hash
# of what determines it: call it again, and nothing is computed. It returns a pandas frame with a
# row for each evaluation.

# %%
store = Path("first-steps")
frame = bench.run("random,dm", "digits", ipc=[1, 10], profile="smoke", store=store)
frame["accuracy"] = frame["accuracies"].map(lambda each: sum(each) / len(each))
print(frame.pivot(index="method", columns="ipc", values="accuracy").round(1))

# %% [markdown]
# ## The table and the pictures
#
# What `bench table` prints, with budgets and all that a reader must know of the numbers, and what
# `bench plot` draws.

# %%
from bench.ledger.record_rows import load_rows
from bench.report.plots import PLOTS
from bench.report.tables import render

rows = load_rows(store)
print(render(rows.evaluations, rows.failures, format="md"))
written = PLOTS["accuracy"](rows.evaluations, store) + PLOTS["gallery"](rows.evaluations, store)
print(*[path for path in written if path.suffix == ".png"], sep="\n")
