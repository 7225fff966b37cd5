"""Rendered scenes for a house without cameras: a porch by day and in the dark, a basement's water meter."""
