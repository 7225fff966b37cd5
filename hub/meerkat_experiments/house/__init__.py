"""A house on a simulated clock: the production hub, with faults. docs/explanation/simulation.md."""
