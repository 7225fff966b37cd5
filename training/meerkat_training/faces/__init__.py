"""Whole meters that never were, with the exact truth of each picture."""
