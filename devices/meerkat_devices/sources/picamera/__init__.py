"""Cameras on the Pi's ribbon cable, through picamera2."""
