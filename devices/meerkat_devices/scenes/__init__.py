"""Rendered scenes for a house without a camera: a porch by day and in the dark, and a water meter in the basement."""
