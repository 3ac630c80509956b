"""Choosing an importer by the file itself: one table of the kinds of files that are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.files.csv_rows import read_csv
from accelgym.costmodels.files.plain import as_path
from accelgym.costmodels.workloads.importers.maestro_csv import import_maestro_csv, is_maestro_header
from accelgym.costmodels.workloads.importers.maestro_network import import_maestro_network
from accelgym.costmodels.workloads.importers.onnx_graph import import_onnx
from accelgym.costmodels.workloads.importers.scalesim_csv import import_scalesim_csv, is_scalesim_header
from accelgym.costmodels.workloads.importers.timeloop_problem import import_timeloop_problem
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["FILE_KINDS", "FILE_SUFFIXES", "import_file", "split_kind"]


@dataclass(frozen=True)
class FileKind:
    """One kind of network file."""

    suffixes: tuple[str, ...]
    what: str
    read: Callable[..., Workload]
    """Takes the path and ``name``."""
    header: Callable[[tuple[str, ...]], bool] | None = None
    """For tables: whether the cells of the first line are of this kind."""


FILE_KINDS = {
    "confuciux": FileKind(
        (".csv",),
        "header K,C,Y,X,R,S,T, M,N,K,0,0,0,T or O,I,0,0,0,0,T (ConfuciuX, GAMMA)",
        import_maestro_csv,
        is_maestro_header,
    ),
    "scalesim": FileKind(
        (".csv",),
        "header 'Layer name, IFMAP Height, ...' or 'Layer, M, N, K' (SCALE-Sim topology)",
        import_scalesim_csv,
        is_scalesim_header,
    ),
    "maestro": FileKind((".m",), "a Network of MAESTRO", import_maestro_network),
    "timeloop": FileKind((".yaml", ".yml"), "a key 'problem' (Timeloop)", import_timeloop_problem),
    "onnx": FileKind((".onnx",), "an ONNX model", import_onnx),
}
"""By the name that states a kind, as in ``scalesim:net.txt``."""

FILE_SUFFIXES = frozenset(suffix for kind in FILE_KINDS.values() for suffix in kind.suffixes)


def import_file(
    path: str | Path,
    *,
    name: str | None = None,
    kind: str | None = None,
    sizes: Mapping[str, int | tuple[int, ...]] | None = None,
) -> Workload:
    """Reads a network from a file.

    Args:
        path: The file.
        name: Name of the workload; taken from the file when omitted.
        kind: One of :data:`FILE_KINDS`; found by suffix and, for tables, by the header when omitted.

        sizes: Sizes that an ONNX file leaves open, by name.

    Raises:
        InputError: No such file, a kind that is not known, or an error in the file.
    """
    path = as_path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'no regular file' if path.exists() else 'no such file'}")
    if kind is not None:
        if kind not in FILE_KINDS:
            raise unknown_name("kind of file", kind, FILE_KINDS)
        return _read(kind, path, name, sizes)
    found = [k for k, entry in FILE_KINDS.items() if path.suffix.lower() in entry.suffixes]
    if len(found) > 1 or any(FILE_KINDS[k].header for k in found):
        found = _by_header(path, found)
    if not found:
        raise InputError(
            f"{path}: files {f'with suffix {path.suffix!r}' if path.suffix else 'without a suffix'} {_KNOWN}"
        )
    return _read(found[0], path, name, sizes)


def _read(kind: str, path: Path, name: str | None, sizes: Mapping[str, int | tuple[int, ...]] | None) -> Workload:
    reader = FILE_KINDS[kind].read
    if reader is import_onnx:
        return reader(path, name=name, sizes=sizes)
    if sizes:
        raise InputError(f"{path}: size {shown(next(iter(sizes)))} is given, allowed: none, the file states all sizes")
    return reader(path, name=name)


def split_kind(text: str) -> tuple[str | None, str]:
    """Splits ``kind:path`` where the part before the colon is the name of a kind."""
    kind, colon, rest = text.partition(":")
    return (kind, rest) if colon and kind in FILE_KINDS else (None, text)


def _by_header(path: Path, kinds: list[str]) -> list[str]:
    """Returns the one kind of table that the header fits."""
    header = read_csv(path)[0]
    fitting = [k for k in kinds if (test := FILE_KINDS[k].header) is not None and test(header.cells)]
    if len(fitting) == 1:
        return fitting
    cells = shown(",".join(header.cells))
    if fitting:
        raise header.error(0, f"header {cells} fits {' and '.join(fitting)}; state which, as in {fitting[0]}:{path}")
    raise header.error(0, f"tables with header {cells} {_KNOWN}")


_KNOWN = (
    "are not known as networks; known: "
    + "; ".join(
        f"{'/'.join(kind.suffixes)} with {kind.what}"
        if kind.header or kind.read is import_timeloop_problem
        else f"{'/'.join(kind.suffixes)}, {kind.what}"
        for kind in FILE_KINDS.values()
    )
    + ". Another suffix: state the kind, as in scalesim:FILE"
)
