"""What can be changed while the device runs, kept over restarts."""
