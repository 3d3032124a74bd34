"""How fast this machine does each stage of the work, beside loops as the papers' code has them."""
