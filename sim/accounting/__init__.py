"""From plans and a timeline to the result: traffic by memory and operand, energy by action, causes by layer."""

from sim.accounting.book import Book, Counts
from sim.accounting.traffic import share_out

__all__ = ["Book", "Counts", "share_out"]
