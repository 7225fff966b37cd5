"""Frames of interest: sent while the hub asks, looked at on the device if it is told to."""
