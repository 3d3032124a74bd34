"""New plugin packages: what ``bench new`` writes."""
