"""Propose a layout from one picture: where its wheels and dials are, and what they count."""

from .proposing import Proposal, propose

__all__ = ["Proposal", "propose"]
