"""Named factories with plug-in discovery through package entry points."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from accelgym.costmodels.errors import InputError, unexpected_argument, unknown_name

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
        self._points: dict[str, EntryPoint] | None = None

    def register(self, name: str, factory: Callable[..., T]) -> None:
        """Adds a factory under a new name.

        Raises:
            InputError: The name is taken.
        """
        if name in self._factories:
            raise InputError(f"{self.what} {name!r} is registered already")
        self._factories[name] = factory

    def is_registered(self, name: str) -> bool:
        """Whether a factory was added under this name, plug-ins not asked."""
        return name in self._factories

    def names(self) -> list[str]:
        """Returns all names, sorted."""
        return sorted({*self._factories, *self._discover()})

    def get(self, name: str) -> Callable[..., T]:
        """Returns the factory of a name.

        Raises:
            InputError: No such name; the message lists the nearest valid ones.
        """
        if not isinstance(name, str):
            raise unknown_name(self.what, name, self.names())
        if name not in self._factories:
            points = self._discover()
            if name not in points:
                raise unknown_name(self.what, name, self.names())
            factory: Callable[..., T] = points[name].load()
            self._factories[name] = factory
        return self._factories[name]

    def build(self, name: str, *args: object, **kwargs: object) -> T:
        """Calls the factory of a name.

        Raises:
            InputError: No such name, or arguments that the factory does not take. What the factory itself raises,
                a ``TypeError`` too, is its own and passes through.
        """
        factory = self.get(name)
        try:
            signature = inspect.signature(factory)
        except ValueError:  # Some built-in callables have none.
            return factory(*args, **kwargs)
        parameters = signature.parameters.values()
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
            taken = [p.name for p in parameters if p.kind is not inspect.Parameter.POSITIONAL_ONLY][len(args) :]
            for key in kwargs:
                if key not in taken:
                    raise unexpected_argument(f"argument of {self.what} {name!r}", key, taken)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InputError(f"{self.what} {name!r}: {error}") from None
        return factory(*args, **kwargs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._factories or name in self._discover())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _discover(self) -> dict[str, EntryPoint]:
        if self._points is None:
            self._points = {point.name: point for point in entry_points(group=self.group)}
        return self._points
