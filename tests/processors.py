"""Other processors, as far as a process can be told that it runs on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

OLDER_PROCESSOR = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3,X86_V4,AVX512_ICL,AVX512_SPR",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2",
}
"""Environment in which NumPy, the C library and OpenBLAS do without fused multiply-add and wide vectors."""


def answer(module, expression, environment):
    """What a process in another environment says of a test module, ``t`` in the expression; JSON."""
    path = Path(module)
    code = f"import json; import {path.stem} as t; print(json.dumps({expression}))"
    paths = os.pathsep.join(map(str, (path.parent, Path(__file__).parent)))
    environment = {**os.environ, **environment, "PYTHONPATH": paths}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)
