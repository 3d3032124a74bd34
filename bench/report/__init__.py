"""Reports: aggregation, tables, plots and the numbers that papers print."""
