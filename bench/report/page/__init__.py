"""The report page: one HTML file with every result of a store, for a browser and no network."""
