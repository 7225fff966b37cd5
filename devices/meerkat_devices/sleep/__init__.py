"""Devices that sleep between their wakes, and their batteries."""
