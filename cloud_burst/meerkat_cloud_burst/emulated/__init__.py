"""Burst without an account: an emulator of AWS, and local processes for instances."""
