"""Errors a user can cause, worded so that the user can mend them."""

from __future__ import annotations

import difflib
import reprlib
import warnings
from collections.abc import Iterable

__all__ = [
    "AccelGymError",
    "BoundError",
    "DamagedFileError",
    "InputError",
    "InputWarning",
    "MissingExtraError",
    "UnexpectedArgumentError",
    "shown",
    "system_reason",
    "unexpected_argument",
    "unknown_name",
    "warn_input",
]


_LONGEST_MESSAGE = 4000
"""Characters; a message may quote a value of any size."""


class AccelGymError(Exception):
    """Base class of every error AccelGym raises on purpose; the middle of a long message is left out."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*(_without_middle(part) if isinstance(part, str) else part for part in parts))


def _without_middle(text: str) -> str:
    half = _LONGEST_MESSAGE // 2
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:half]} ... {text[-half:]}"


class InputError(AccelGymError, ValueError):
    """Bad input: the message names the file, key or argument, its value and what is allowed.

    The command line prints the message and exits with code 2.
    """


class BoundError(AccelGymError, ValueError):
    """A stored or found objective lies below what is proved to be possible: one of the two is wrong."""


class DamagedFileError(InputError):
    """A file that this package has written is not as it was written."""


class UnexpectedArgumentError(InputError, TypeError):
    """A keyword argument that does not exist.

    A ``TypeError``, too, with Python's phrase in its message: clients of environments probe for arguments and look for
    both (TorchRL's ``GymEnv`` for ``frameskip``).
    """


class InputWarning(UserWarning):
    """An input was read, but a part of it has no effect or is taken in another way; the message names it.

    The command line prints each message once, on standard error. Filter the category to silence or raise it.
    """


def warn_input(message: str) -> None:
    """Issues an :class:`InputWarning`, the one way in which a reader says what it left out."""
    warnings.warn(message, InputWarning, stacklevel=3)


def system_reason(error: OSError) -> str:
    """Returns why the system refused something.

    Files are replaced, so that only a folder can be in want of a place where something stands already.
    """
    return "is a file, allowed: a folder" if isinstance(error, FileExistsError) else error.strerror or str(error)


class MissingExtraError(AccelGymError, ImportError):
    """An optional dependency is needed and not installed; the message says which extra brings it."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the package {package!r}, which is not installed: pip install 'accelgym[{extra}]'"
        )


def unknown_name(what: str, name: object, allowed: Iterable[str]) -> InputError:
    """Builds the error for a name that does not exist, with the nearest valid names.

    Args:
        what: What the name stands for, for example ``"workload"``.
        name: The value given.
        allowed: All valid names.

    Returns:
        The error, to be raised by the caller.
    """
    names = sorted(allowed)
    near = [_cut(match, 100) for match in difflib.get_close_matches(str(name)[:100], names, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(repr(n) for n in near)}? " if near else ""
    short = [_cut(n, 100) for n in names[:40]]
    listed = ", ".join(short) if len(names) <= 40 else f"{', '.join(short)}, ... ({len(names)} in all)"
    return InputError(f"unknown {what} {_cut(repr(name), 200)}: {hint}valid: {listed}")


def unexpected_argument(what: str, name: object, allowed: Iterable[str]) -> UnexpectedArgumentError:
    """Builds the error for a keyword argument that does not exist; arguments as :func:`unknown_name`."""
    phrase = f"unexpected keyword argument {_cut(repr(name), 200)}"
    return UnexpectedArgumentError(f"{unknown_name(what, name, allowed)} ({phrase})")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def shown(value: object) -> str:
    """Returns a value for a message: one short line, however large or nested the value is."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother = 3, 60, 60
    try:
        text = short.repr(value)
    except ValueError:  # an integer of thousands of digits
        text = "a number of thousands of digits"
    return _cut(text, 160)
