"""Other processors, as far as a process can be told that it runs on one."""

OLDER_PROCESSOR = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3,X86_V4,AVX512_ICL,AVX512_SPR",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2",
}
"""Environment in which NumPy, the C library and OpenBLAS do without fused multiply-add and wide vectors."""
