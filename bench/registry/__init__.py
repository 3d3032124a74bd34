"""Plugin registries and the parameters that plugins declare."""
