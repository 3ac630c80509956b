"""Named factories with plug-in discovery through package entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from accelgym.costmodels.errors import InputError, unknown_name

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps names to factories; other packages add names through an entry-point group.

    A plug-in package declares, in its ``pyproject.toml``::

        [project.entry-points."accelgym.agents"]
        my_agent = "my_package:MyAgent"

    Entry points are listed at the first look-up and imported only when their name is asked for.

    Args:
        what: What a name stands for, used in error messages (``"agent"``).
        group: Entry-point group, for example ``"accelgym.agents"``.
    """

    def __init__(self, what: str, group: str) -> None:
        self.what = what
        self.group = group
        self._factories: dict[str, Callable[..., T]] = {}
        self._discovered = False

    def register(self, name: str, factory: Callable[..., T]) -> None:
        """Adds a factory under a new name.

        Raises:
            InputError: The name is taken.
        """
        if name in self._factories:
            raise InputError(f"{self.what} {name!r} is registered already")
        self._factories[name] = factory

    def names(self) -> list[str]:
        """Returns all names, sorted."""
        self._discover()
        return sorted(self._factories)

    def get(self, name: str) -> Callable[..., T]:
        """Returns the factory of a name.

        Raises:
            InputError: No such name; the message lists the nearest valid ones.
        """
        self._discover()
        if name not in self._factories:
            raise unknown_name(self.what, name, self._factories)
        return self._factories[name]

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._factories

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        for point in entry_points(group=self.group):

            def load(*args: object, _point: object = point, **kwargs: object) -> T:
                factory: Callable[..., T] = _point.load()  # type: ignore[attr-defined]
                return factory(*args, **kwargs)

            if point.name not in self._factories:
                self._factories[point.name] = load
