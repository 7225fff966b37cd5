"""Renders meters with exact truth, and trains the networks that read them."""
