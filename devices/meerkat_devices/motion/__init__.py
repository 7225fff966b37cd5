"""Does something move? Vision, sensors, and both together."""
