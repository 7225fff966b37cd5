"""Reads meters: a picture and a layout become positions of wheels and needles, and a number."""
