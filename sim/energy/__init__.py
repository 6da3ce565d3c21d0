"""Energy: technology tables with their sources, the cost of each action, and the account of a run."""

from sim.energy.account import Energy, account
from sim.energy.schema import FORMATS
from sim.energy.sources import Row, sources
from sim.energy.table import Cost, Sram, Table, beside, load, names

__all__ = [
    "FORMATS",
    "Cost",
    "Energy",
    "Row",
    "Sram",
    "Table",
    "account",
    "beside",
    "load",
    "names",
    "sources",
]
