"""The CUDA kernel without a GPU: its source compiled for the processor must give what the lanes give."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.kernels.test_tangents_lorenz_lanes import LORENZ, question
from tui_opt.kernels.callables import unchecked
from tui_opt.kernels.tangents import Question, lorenz_gpu
from tui_opt.kernels.tangents.lorenz import A, B, C
from tui_opt.kernels.tangents.lorenz_gpu import UnavailableError, arguments_of, follow_by, follow_on, source
from tui_opt.kernels.tangents.lorenz_lanes import follow_lanes

HOST = """
#include <cmath>
using std::fabs; using std::fmax; using std::frexp; using std::ldexp; using std::isinf;
struct Index { int x; };
static thread_local Index blockIdx, blockDim, threadIdx;
#define __device__
#define __global__
%s
extern "C" void launch(int blocks, int threads, double *rows, long long *powers, int lanes, int steps, int is_euler,
                       int in_stages, double sigma, double rho, double beta, double dt, double a, double b, double c) {
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)
        for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++)
            advance(rows, powers, lanes, steps, is_euler, in_stages, sigma, rho, beta, dt, a, b, c);
}
"""
COMPILER = shutil.which("g++") or shutil.which("clang++")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler here")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "kernel.cpp").write_text(HOST % source())
    built = folder / "kernel.so"
    assert COMPILER is not None
    command = (
        COMPILER,
        "-std=c++17",
        "-O1",
        "-shared",
        "-fPIC",
        "-Wl,-Bsymbolic",
        "-o",
        built,
        folder / "kernel.cpp",
    )
    subprocess.run(command, check=True, timeout=60)
    return ctypes.CDLL(str(built))


def on_processor(library: Any, asked: Question) -> Callable[[], Any]:
    """A launcher that runs the kernel's threads one after another."""
    pointers = (ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_longlong))

    def launch(rows: NDArray[np.float64], powers: NDArray[np.int64], slices: Any, check: Any) -> None:
        lanes = rows.shape[1]
        for steps, mask, in_stages in slices:
            check()
            given = arguments_of(LORENZ, asked, lanes, steps, mask, in_stages)
            words = [ctypes.c_int(x) if isinstance(x, int) else ctypes.c_double(x) for x in given]
            library.launch(
                -(-lanes // 32),
                32,
                rows.ctypes.data_as(pointers[0]),
                powers.ctypes.data_as(pointers[1]),
                *words,
            )

    return lambda: launch


@needs_compiler
@pytest.mark.parametrize(
    ("held", "perturbed", "measured", "more"),
    [
        ((A,), B, C, {}),
        ((A,), B, B, {"rule": "node", "held_until": 1.0}),
        ((B,), A, A, {"steps": 20_000, "number": 2}),
        ((C,), A, B, {"integrator": "euler", "dt": 0.002}),
    ],
)
def test_the_kernel_gives_what_the_lanes_give(
    library: Any, held: tuple[int, ...], perturbed: int, measured: int, more: dict[str, Any]
) -> None:
    asked = question(held=held, perturbed=perturbed, **more)
    ours = follow_by(on_processor(library, asked), asked, measured, unchecked)
    theirs = follow_lanes(LORENZ, asked, measured)
    if asked.steps > 1000:  # chaos has parted them; what decays alone is the same
        np.testing.assert_allclose(ours.log_y[measured], theirs.log_y[measured], rtol=1e-12)
        return
    np.testing.assert_allclose(ours.state, theirs.state, rtol=0, atol=1e-9)
    for name in ("log_x", "log_y"):
        np.testing.assert_allclose(
            getattr(ours, name)[measured], getattr(theirs, name)[measured], rtol=0, atol=1e-8
        )
    np.testing.assert_array_equal(ours.sign_y, theirs.sign_y)


@needs_compiler
def test_memory_that_runs_out_is_halved(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = question(50, 300)
    launch, sizes = on_processor(library, asked)(), []

    def small(rows: Any, powers: Any, slices: Any, check: Any) -> None:
        sizes.append(rows.shape[1])
        if rows.shape[1] > 150:
            raise MemoryError
        launch(rows, powers, slices, check)

    monkeypatch.setattr(lorenz_gpu, "LANES_AT_ONCE", 512)
    found = follow_by(lambda: small, asked, B, unchecked)
    assert sizes == [300, 256, 128, 128, 44]
    np.testing.assert_allclose(found.log_x, follow_lanes(LORENZ, asked, B).log_x, rtol=0, atol=1e-10)
    monkeypatch.setattr(lorenz_gpu, "LANES_AT_ONCE", 128)

    def never(rows: Any, powers: Any, slices: Any, check: Any) -> None:
        raise MemoryError

    with pytest.raises(UnavailableError, match="no memory left"):
        follow_by(lambda: never, asked, B, unchecked)


def test_without_a_gpu_it_says_so() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UnavailableError, match="cannot"):
        follow_on("cuda:0", LORENZ, question(10, 4), B)


def test_on_a_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    asked = question(300, 1000, held_until=math.inf)
    ours, theirs = follow_on("cuda:0", LORENZ, asked, B), follow_lanes(LORENZ, asked, B)
    np.testing.assert_allclose(ours.log_y[B], theirs.log_y[B], rtol=0, atol=1e-7)
