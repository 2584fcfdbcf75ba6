"""NVIDIA's runtime compiler, where it is installed: a wheel beside PyTorch, or a toolkit. It needs no GPU."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path


def library() -> ctypes.CDLL | None:
    """The compiler, None where it is not here."""
    for place in _places():
        try:
            return ctypes.CDLL(place)
        except OSError:
            continue
    return None


def _places() -> Iterator[str]:
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        for path in sorted(Path(folder).glob("*/lib/libnvrtc.so*"), reverse=True):
            if "builtins" not in path.name and "alt" not in path.name:
                yield str(path)
    found = ctypes.util.find_library("nvrtc")
    if found:
        yield found
    yield "/usr/local/cuda/lib64/libnvrtc.so"


def compiled(
    nvrtc: ctypes.CDLL, source: str, macros: Mapping[str, int], architecture: str
) -> tuple[bytes, str]:
    """Machine code and what the compiler said, its use of registers among it.

    Raises:
        AssertionError: with what it said, where it refused.
    """
    program = ctypes.c_void_p()
    arguments = (ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
    assert nvrtc.nvrtcCreateProgram(*arguments) == 0
    options = [f"--gpu-architecture={architecture}", "--ptxas-options=-v"]
    options += [f"-D{name}={value}" for name, value in macros.items()]
    given = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
    refused = nvrtc.nvrtcCompileProgram(program, len(options), given)
    said = _text(nvrtc, program, "ProgramLog").decode().rstrip("\0")
    assert not refused, said
    return _text(nvrtc, program, "CUBIN"), said


def _text(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    assert getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
    buffer = ctypes.create_string_buffer(size.value)
    assert getattr(nvrtc, f"nvrtcGet{what}")(program, buffer) == 0
    return buffer.raw
