"""Networks: their registered names, functional calls, and CPU kernels."""
