"""Names to things: registered by decorator, found by scanning the folder, open to notebook cells."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from sim.errors import TiletickError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of `what`s by name. The modules of `package` are imported at the first look-up."""

    def __init__(self, what: str, package: str | None = None) -> None:
        self.what = what
        self._package = package
        self._entries: dict[str, T] = {}
        self._aliases: dict[str, str] = {}

    def register(self, name: str, *aliases: str) -> Callable[[T], T]:
        """Return a decorator that files its target under `name` (and `aliases`); a name taken is an error."""

        def add(entry: T) -> T:
            for taken in (n for n in (name, *aliases) if n in self._entries or n in self._aliases):
                raise TiletickError(f"{self.what} '{taken}' is registered already")
            self._entries[name] = entry
            self._aliases.update(dict.fromkeys(aliases, name))
            return entry

        return add

    def unregister(self, name: str) -> None:
        """Take `name` and its aliases out again, as a notebook cell that is run twice needs."""
        self._entries.pop(name, None)
        self._aliases = {alias: target for alias, target in self._aliases.items() if target != name}

    def _scan(self) -> None:
        if self._package is not None:
            package, self._package = importlib.import_module(self._package), None
            for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
                importlib.import_module(module.name)

    def canonical(self, name: str) -> str:
        """Return the name under which `name` is filed; TiletickError with the choices where it is not."""
        self._scan()
        found = self._aliases.get(name, name)
        if found not in self._entries:
            raise TiletickError(unknown(self.what, name, [*self._entries, *self._aliases]))
        return found

    def __getitem__(self, name: str) -> T:
        return self._entries[self.canonical(name)]

    def __contains__(self, name: str) -> bool:
        self._scan()
        return name in self._entries or name in self._aliases

    def __iter__(self) -> Iterator[str]:
        self._scan()
        return iter(sorted(self._entries))
