"""One pool of workers: what waits, whose turn it is, who does it, and what became of it."""
