"""Named tables: recipes that say which results a paper's table needs, as TOML files beside this."""
