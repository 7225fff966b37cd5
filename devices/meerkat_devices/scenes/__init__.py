"""Rendered scenes for a house without a camera: a porch, and a water meter in the basement."""
