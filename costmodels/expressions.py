"""Array code recorded once as expressions, so that equal terms are worked out once and constants not at all.

The general rules name thousands of terms per design, most of them several times or times one. ``Recorder`` stands in
for the array namespace while they run: it returns an expression for every operation, the same one for the same
operation, and folds what is constant. ``Program`` then evaluates what the wanted expressions depend on. Its numbers
are those of the array code bit by bit: no operation is replaced by another, left out are only ``x + 0``, ``x * 1``,
``x * 0`` and selections that are decided, which are exact for finite numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.arrays import Array

__all__ = ["Expression", "Program", "Recorder"]

_MASKS = frozenset(
    {"less", "less_equal", "greater", "greater_equal", "equal", "logical_and", "logical_or", "logical_not"}
)
_COMMUTATIVE = frozenset({"add", "multiply", "minimum", "maximum", "logical_and", "logical_or"})


class Expression:
    """An operation on expressions and constants; behaves like an array of float64 or bool."""

    __slots__ = ("args", "index", "name", "recorder")
    __array_ufunc__ = None  # NumPy scalars leave operators to this class

    def __init__(self, recorder: Recorder, name: str, args: tuple[Any, ...], index: int) -> None:
        self.recorder, self.name, self.args, self.index = recorder, name, args, index

    ndim = 0

    def any(self) -> bool:
        """Whether some design may hold it: always."""
        return True

    def all(self) -> bool:
        """Whether every design holds it: where that is assumed."""
        return self.index in self.recorder.assumed

    __hash__ = object.__hash__
    __add__, __radd__ = (lambda a, b: a.recorder.apply("add", a, b),) * 2
    __mul__, __rmul__ = (lambda a, b: a.recorder.apply("multiply", a, b),) * 2
    __and__, __rand__ = (lambda a, b: a.recorder.apply("logical_and", a, b),) * 2
    __or__, __ror__ = (lambda a, b: a.recorder.apply("logical_or", a, b),) * 2

    def __sub__(self, other: Any) -> Any:
        return self.recorder.apply("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.recorder.apply("subtract", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.recorder.apply("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.recorder.apply("divide", other, self)

    def __lt__(self, other: Any) -> Any:
        return self.recorder.apply("less", self, other)

    def __le__(self, other: Any) -> Any:
        return self.recorder.apply("less_equal", self, other)

    def __gt__(self, other: Any) -> Any:
        return self.recorder.apply("greater", self, other)

    def __ge__(self, other: Any) -> Any:
        return self.recorder.apply("greater_equal", self, other)

    def __eq__(self, other: Any) -> Any:
        return self.recorder.apply("equal", self, other)

    def __ne__(self, other: Any) -> Any:
        return ~(self == other)

    def __invert__(self) -> Any:
        return self.recorder.apply("logical_not", self)


class Recorder:
    """An array namespace that records. Constants are NumPy scalars, everything else an :class:`Expression`."""

    float64 = np.float64

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Expression] = {}
        self.assumed: set[int] = set()
        """Indices of the masks that hold for every design that the recording is used on."""
        self.exceptions: list[Any] = []
        """Masks of the designs that the recording does not hold for."""
        self.tables: list[npt.NDArray[np.float64]] = []

    def input(self, name: str) -> Expression:
        """Returns the expression of a column that is given."""
        return self._expression("input", (name,))

    def asarray(self, value: Any, dtype: Any = None) -> Any:
        """Returns the value: constants and expressions alike are arrays here."""
        del dtype
        return value

    def floor(self, x: Any) -> Any:
        """``numpy.floor``."""
        return self.apply("floor", x)

    def ceil(self, x: Any) -> Any:
        """``numpy.ceil``."""
        return self.apply("ceil", x)

    def minimum(self, a: Any, b: Any) -> Any:
        """``numpy.minimum``."""
        return self.apply("minimum", a, b)

    def maximum(self, a: Any, b: Any) -> Any:
        """``numpy.maximum``."""
        return self.apply("maximum", a, b)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """``numpy.where``."""
        return self.apply("where", condition, a, b)

    def sqrt(self, x: Any) -> Any:
        """``numpy.sqrt``."""
        return self.apply("sqrt", x)

    def lookup(self, table: npt.NDArray[np.float64], index: Any) -> Any:
        """The numbers of a table at whole indices, which the caller keeps within it."""
        number = next((i for i, known in enumerate(self.tables) if known is table), len(self.tables))
        if number == len(self.tables):
            self.tables.append(table)
        return self._expression("lookup", (np.float64(number), index))

    def apply(self, name: str, *given: Any) -> Any:
        """Returns the expression of a NumPy function of expressions and constants, or its value if it has one."""
        args = tuple(a if isinstance(a, Expression) else _constant(a) for a in given)
        if not any(isinstance(a, Expression) for a in args):
            return getattr(np, name)(*args)[()]
        if (same := _simplified(name, args)) is not None:
            return same
        if name in _COMMUTATIVE:
            args = tuple(sorted(args, key=lambda a: (0, a.index) if isinstance(a, Expression) else (1, a)))
        return self._expression(name, args)

    def _expression(self, name: str, args: tuple[Any, ...]) -> Expression:
        key = (name, *((True, a.index) if isinstance(a, Expression) else (False, a) for a in args))
        if key not in self._known:
            self._known[key] = Expression(self, name, args, len(self._known))
        return self._known[key]


def _constant(value: Any) -> Any:
    return np.bool_(value) if isinstance(value, bool | np.bool_) else np.float64(value)


def _simplified(name: str, args: tuple[Any, ...]) -> Any:
    """Returns what an operation comes to if it need not be carried out, else ``None``."""
    if name == "where":
        condition, a, b = args
        if not isinstance(condition, Expression):
            return a if condition else b
        return a if _is_same(a, b) else None
    if len(args) == 1:
        return args[0] if name in ("floor", "ceil") and args[0].name in ("floor", "ceil") else None
    a, b = args
    if name in ("logical_and", "logical_or", "minimum", "maximum") and a is b:
        return a
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Expression):
            continue
        if name == "multiply" and one in (0.0, 1.0):
            return other if one else one
        if name == "add" and one == 0.0:
            return other
        if name in ("logical_and", "logical_or"):
            return other if one == (name == "logical_and") else one
    neutral = {"subtract": 0.0, "divide": 1.0}.get(name)
    return a if neutral is not None and not isinstance(b, Expression) and b == neutral else None


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(a, Expression) or isinstance(b, Expression):
        return a is b
    return bool(a == b)


@dataclass(frozen=True)
class _Step:
    """One array operation."""

    function: str
    args: tuple[int, ...]
    """Registers; constants have registers of their own."""
    result: int


class Program:
    """Expressions in an order in which they can be evaluated, with registers that are used again.

    Attributes:
        length: Array operations.
        tables: What ``lookup`` numbers.
    """

    def __init__(self, outputs: Sequence[Any]) -> None:
        order = _ordered(outputs)
        self.length = len(order)
        self.tables = order[0].recorder.tables if order else []
        last = {arg.index: i for i, e in enumerate(order) for arg in e.args if isinstance(arg, Expression)}
        kept = {e.index for e in outputs if isinstance(e, Expression)}
        self._inputs: dict[str, int] = {}
        self._constants: list[tuple[int, Any]] = []
        constants: dict[tuple[bool, Any], int] = {}
        self._steps: list[_Step] = []
        place: dict[int, int] = {}
        free: list[int] = []
        self._registers = 0

        def new() -> int:
            self._registers += 1
            return self._registers - 1

        def register(value: Any) -> int:
            if isinstance(value, Expression):
                return place[value.index]
            key = (isinstance(value, np.bool_), value)
            if key not in constants:
                constants[key] = new()
                self._constants.append((constants[key], value))
            return constants[key]

        for i, expression in enumerate(order):
            if expression.name == "input":
                place[expression.index] = self._inputs[expression.args[0]] = new()
                continue
            args = tuple(register(a) for a in expression.args)
            for arg in {a.index: a for a in expression.args if isinstance(a, Expression)}.values():
                if last[arg.index] == i and arg.index not in kept and arg.name != "input":
                    free.append(place[arg.index])
            place[expression.index] = free.pop() if free else new()
            self._steps.append(_Step(expression.name, args, place[expression.index]))
        self._outputs = [register(e) for e in outputs]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns that are given."""
        return tuple(self._inputs)

    def statements(self) -> tuple[list[tuple[str, str, tuple[str, ...]]], list[tuple[str, bool]]]:
        """Returns the program as text for a compiler.

        Returns:
            Per operation the name of its result, its function and its arguments (names and literals), the inputs
            being ``x0``, ``x1``, ...; and per output a name or literal and whether it is a mask.
        """
        text = {register: f"x{i}" for i, register in enumerate(self._inputs.values())}
        text |= {register: repr(value.item()) for register, value in self._constants}
        masks = {register for register, value in self._constants if isinstance(value, np.bool_)}
        statements = []
        for i, step in enumerate(self._steps):
            statements.append((f"t{i}", step.function, tuple(text[a] for a in step.args)))
            text[step.result] = f"t{i}"
            (masks.add if step.function in _MASKS else masks.discard)(step.result)
        return statements, [(text[register], register in masks) for register in self._outputs]

    def run(self, xp: Any, columns: Mapping[str, Array]) -> list[Array]:
        """Evaluates the outputs.

        Args:
            xp: ``numpy`` or ``torch``.
            columns: The inputs by name; they broadcast, and a term has the shape of what it depends on.
        """
        registers: list[Any] = [None] * self._registers
        for name, register in self._inputs.items():
            registers[register] = columns[name]
        placed = {} if xp is np else {"device": next(iter(columns.values())).device}
        for register, value in self._constants:
            registers[register] = value if xp is np else xp.asarray(value, **placed)
        names = {s.function for s in self._steps} - {"lookup"}
        functions: dict[str, Callable[..., Array]] = {name: getattr(xp, name) for name in names}
        functions["lookup"] = lambda number, index: self.tables[int(number)].take(index.astype(np.intp), mode="clip")
        if xp is not np and "equal" in names:
            functions["equal"] = xp.eq  # torch's own ``equal`` is one answer for all elements
        for step in self._steps:
            registers[step.result] = functions[step.function](*[registers[i] for i in step.args])
        return [registers[i] for i in self._outputs]


def _ordered(outputs: Sequence[Any]) -> list[Expression]:
    """All expressions the outputs depend on, each after its arguments; terms are used soon after they are made."""
    done: dict[int, Expression] = {}
    stack = [(e, False) for e in reversed(outputs) if isinstance(e, Expression)]
    while stack:
        expression, ready = stack.pop()
        if expression.index in done:
            continue
        if ready:
            done[expression.index] = expression
            continue
        stack.append((expression, True))
        stack += [(a, False) for a in reversed(expression.args) if isinstance(a, Expression)]
    return list(done.values())
