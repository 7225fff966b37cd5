"""Truth for the development footage."""
