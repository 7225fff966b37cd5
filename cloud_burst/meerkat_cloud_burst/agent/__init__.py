"""The hub's side of the cloud: threads that carry out what the core decided, and tell it what came of it."""

from .agent import Agent

__all__ = ["Agent"]
