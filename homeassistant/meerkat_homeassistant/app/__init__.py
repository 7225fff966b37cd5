"""Meerkat as an app of Home Assistant: what the form says becomes the environment of `meerkat up`."""
