"""When to rent, how much, and what to send: pure decisions, no clock, no network."""
