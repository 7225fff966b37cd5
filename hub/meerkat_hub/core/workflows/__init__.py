"""Workflows: admitted, placed on nodes, fed with frames, decided."""
