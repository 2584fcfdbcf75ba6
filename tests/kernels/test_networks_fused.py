"""The CUDA kernel without a GPU: compiled for a processor it makes the plain steps; for a GPU, nothing spills."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.kernels import nvrtc
from tui_opt.kernels.networks import fused
from tui_opt.kernels.networks.construction import built_network
from tui_opt.kernels.networks.fused import (
    GROUP,
    SAMPLES,
    FusedTrainer,
    Launch,
    Packing,
    UnavailableError,
    macros,
    source,
    torch_launcher,
)
from tui_opt.kernels.networks.initial import random_networks
from tui_opt.kernels.networks.knots import knots, training_set
from tui_opt.kernels.networks.lanes import Crowd, Rule
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import loss, loss_and_gradient, outputs

PAPER = Layout(5, 5)
X = training_set(knots(PAPER, built_network(PAPER, (1.0, -1.0, 0.0), 0.7)), 9)
Y = outputs(PAPER, built_network(PAPER, (1.0, -1.0, 0.0), 0.7), X)
COMPILER = shutil.which("g++") or shutil.which("clang++")
NVCC = shutil.which("nvcc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler here")
POINTER = ctypes.POINTER(ctypes.c_float)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fused")


def on_processor(folder: Path) -> Any:
    """A launcher that runs a network's threads one after another."""

    def launcher(layout: Layout, adadelta: bool) -> Launch:
        name = f"{layout.layers}x{layout.width}-{int(adadelta)}"
        code, built = folder / f"{name}.cpp", folder / f"{name}.so"
        if not built.exists():
            code.write_text(source())
            given = [f"-D{key}={value}" for key, value in macros(layout, adadelta).items()]
            assert COMPILER is not None
            command = [
                COMPILER,
                "-std=c++17",
                "-O2",
                "-ffp-contract=off",
                "-shared",
                "-fPIC",
                "-DHOST",
                *given,
            ]
            subprocess.run([*command, "-o", built, code], check=True, timeout=120)
        library = ctypes.CDLL(str(built))
        assert library.stride() == Packing(layout).stride

        def launch(
            words: Any, samples: Any, scales: Any, constants: Any, losses: Any, slices: Any, check: Any
        ) -> None:
            arrays = [one.ctypes.data_as(POINTER) for one in (*words, samples, scales, constants, losses)]
            for steps in slices:
                check()
                library.train(*arrays, len(losses), len(samples) // (GROUP * SAMPLES), steps)

        return launch

    return launcher


def plain(start: NDArray[np.float64], rule: Rule, steps: int) -> NDArray[np.float64]:
    w, first, second = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for _ in range(steps):
        _, g = loss_and_gradient(PAPER, w, X, Y)
        if rule.optimizer == "adadelta":
            first = rule.rho * first + (1 - rule.rho) * g * g
            move = g * np.sqrt((second + rule.epsilon) / (first + rule.epsilon))
            w = w - rule.rate * move
            second = rule.rho * second + (1 - rule.rho) * move * move
        else:
            first = (rule.momentum if rule.optimizer == "momentum" else 0.0) * first - rule.rate * g
            w = w + first
    return w


@needs_compiler
@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(Rule("gd", 0.02), marks=pytest.mark.slow),  # momentum's kernel, with a momentum of 0
        Rule("momentum", 0.01),
        Rule("adadelta", 1.0),
    ],
    ids=lambda r: r.optimizer,
)
def test_the_kernel_makes_the_plain_steps(rule: Rule, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = random_networks(PAPER, "glorot-uniform", 31, np.random.default_rng(0)).astype(np.float32)
    trainer = FusedTrainer(PAPER, X, Y, on_processor(folder))
    crowd = Crowd.beginning(start.astype(np.float64), rule.optimizer)
    first = trainer.train(crowd, rule, 1)
    assert np.allclose(first, loss(PAPER, start.astype(np.float64), X, Y), rtol=2e-6)
    crowd.steps += 1
    for part in (slice(0, 13), slice(13, None)):
        trainer.train(crowd, rule, 4, part=part)
    away = np.abs(crowd.networks - plain(start.astype(np.float64), rule, 5)).max(axis=1)
    assert np.median(away) < 1e-6
    monkeypatch.setattr(fused, "NETWORK_STEPS_IN_A_SLICE", 50 * 31)
    told: list[int] = []
    trainer.train(crowd, rule, 195, report=told.append)
    assert told == [50 * 31, 50 * 31, 50 * 31, 45 * 31]
    ends = [
        loss(PAPER, w, X, Y)
        for w in (crowd.networks.astype(np.float64), plain(start.astype(np.float64), rule, 200))
    ]
    assert np.median(np.abs(ends[0] / ends[1] - 1)) < 1e-5
    assert np.median(ends[0]) == pytest.approx(np.median(ends[1]), rel=1e-5)


@needs_compiler
def test_it_is_verified_before_it_is_relied_on(folder: Path) -> None:
    trainer = FusedTrainer(PAPER, X, Y, on_processor(folder))
    trainer.verify(X, Y)
    with pytest.raises(UnavailableError, match="is wrong here"):
        trainer.verify(X, Y + 0.1)


def test_packing_keeps_every_parameter() -> None:
    for layout in (PAPER, Layout(2, 3), Layout(1, 4), Layout(3, 8)):
        packing = Packing(layout)
        assert np.unique(packing.places).size == layout.size
        assert packing.places.max() < packing.stride
        assert packing.stride % 32 != 0
        networks = np.random.default_rng(0).normal(size=(3, layout.size)).astype(np.float32)
        for scaled in (True, False):
            assert np.array_equal(packing.unpacked(packing.packed(networks, scaled), scaled), networks)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UnavailableError, match="too large for the fused kernel"):
        FusedTrainer(Layout(10, 10), X, Y, lambda layout, adadelta: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(UnavailableError, match="shared memory"):
        FusedTrainer(PAPER, np.zeros(9000), np.zeros(9000), lambda layout, adadelta: None)  # type: ignore[arg-type,return-value]
    trainer = FusedTrainer(PAPER, X, Y, torch_launcher("cuda:0"))
    crowd = Crowd.beginning(np.zeros((1, 136)), "adam")
    with pytest.raises(UnavailableError, match="does not know adam"):
        trainer.train(crowd, Rule("adam", 0.1), 1)


def test_without_a_gpu_it_says_so() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    trainer = FusedTrainer(PAPER, X, Y, torch_launcher("cuda:0"))
    with pytest.raises(UnavailableError, match="cannot"):
        trainer.train(Crowd.beginning(np.zeros((1, 136)), "momentum"), Rule("momentum", 0.1), 1)


def said_by_nvcc(adadelta: bool, folder: Path) -> str:
    if NVCC is None:
        pytest.skip("there is no nvcc here")
    path = folder / "kernel.cu"
    path.write_text(source())
    given = [f"-D{key}={value}" for key, value in macros(PAPER, adadelta).items()]
    command = [NVCC, "-cubin", "-arch=sm_90", "-Xptxas", "-v", *given, "-o", str(folder / "kernel.cubin")]
    answer = subprocess.run([*command, str(path)], check=True, capture_output=True, text=True, timeout=300)
    return answer.stdout + answer.stderr


def said_by_nvrtc(adadelta: bool, folder: Path) -> str:
    library = nvrtc.library()
    if library is None:
        pytest.skip("NVIDIA's runtime compiler is not here; `pip install nvidia-cuda-nvrtc` brings it")
    code, said = nvrtc.compiled(library, source(), macros(PAPER, adadelta), "sm_90")
    assert code.startswith(b"\x7fELF")
    return said


@pytest.mark.parametrize("adadelta", [False, True])
@pytest.mark.parametrize("compiler", [said_by_nvcc, said_by_nvrtc], ids=["nvcc", "nvrtc"])
def test_nothing_spills_on_sm_90(compiler: Any, adadelta: bool, tmp_path: Path) -> None:
    said = compiler(adadelta, tmp_path)
    assert re.search(r"\b0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads", said), said
    used = re.search(r"Used (\d+) registers", said)
    assert used is not None
    assert int(used[1]) <= 255


def test_on_a_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    FusedTrainer(PAPER, X, Y, torch_launcher("cuda:0")).verify(X, Y)
