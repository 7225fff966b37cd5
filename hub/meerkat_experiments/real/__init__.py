"""Experiments over a real broker, with real processes: `meerkat bench`."""
