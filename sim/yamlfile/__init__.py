"""Strict YAML: 1.2 scalars, no duplicate keys, a line number for every key, and models checked all at once.

Reading order: `document` (data and where it stands), `parsing` (text to a document), `checking` (a document
to a schema).
"""

from sim.yamlfile.checking import Clash, Strict, check, in_order
from sim.yamlfile.document import SETTING, Document, Path_, dotted
from sim.yamlfile.parsing import parse, read, scalar

__all__ = ["SETTING", "Clash", "Document", "Path_", "Strict", "check", "dotted", "in_order", "parse", "read", "scalar"]
