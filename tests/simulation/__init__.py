"""A small simulated world for the dispatch rules: a hub, links, and workers, on a clock of its own."""
