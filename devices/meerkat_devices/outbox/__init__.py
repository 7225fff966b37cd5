"""What waits on disk until the hub has it, and how it gets there."""
