"""What the dispatch rules and the pool must reach in the simulated streams and batches."""
