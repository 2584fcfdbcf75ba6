"""Training on an NVIDIA GPU by one fused kernel of CUDA C, compiled when it is first used.

`fused_training.cu` says how it works. Single precision with approximate roots and quotients: results agree with those
of a processor to rounding, which training enlarges. Before it is relied on, a few steps are compared with plain ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import resources
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.networks.lanes import Crowd, Report, Rule, unreported
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import loss_and_gradient

FloatArray: TypeAlias = NDArray[np.float64]
SingleArray: TypeAlias = NDArray[np.float32]

GROUP: Final = 4
SAMPLES: Final = 3
THREADS: Final = 128
BLOCKS: Final = 2
MOST_PARAMETERS: Final = 155
"""Gradients of more do not fit the registers of a thread."""
SHIFT: Final = 2.0**20
"""Activations are stored divided by this; those beyond it are clipped."""
SHARED_MEMORY: Final = 113_000
"""Bytes that two blocks of a multiprocessor may have each."""
STEPS_IN_A_SLICE: Final = 200
NETWORK_STEPS_IN_A_SLICE: Final = 10_000_000
"""Of all networks together: a tenth of a second on a GPU that is half as fast as an H200."""
OPTIMIZERS: Final = ("gd", "momentum", "adadelta")


class UnavailableError(Exception):
    """Why this kernel cannot be used, as a sentence."""


class Launch(Protocol):
    """Makes steps with packed networks, in place; the losses before the last step go to `losses` [network]."""

    def __call__(
        self, words: list[SingleArray], samples: SingleArray, scales: SingleArray, constants: SingleArray,
        losses: SingleArray, slices: list[int], check: Check,
    ) -> None: ...  # fmt: skip


Launcher: TypeAlias = Callable[[Layout, bool], Launch]


def source() -> str:
    """The kernel in CUDA C, without its macros."""
    return (resources.files("tui_opt.kernels.networks") / "fused_training.cu").read_text(encoding="utf-8")


def macros(layout: Layout, adadelta: bool) -> dict[str, int]:
    """What the kernel is compiled with."""
    return {
        "LAYERS": layout.layers, "WIDTH": layout.width, "GROUP": GROUP, "SAMPLES": SAMPLES,
        "ADADELTA": int(adadelta), "THREADS": THREADS, "BLOCKS": BLOCKS,
    }  # fmt: skip


def _rounded(number: int) -> int:
    return -(-number // 4) * 4


class Packing:
    """Where a network's parameters are in the kernel's words, and what they are multiplied by there.

    Args:
        layout: the network's shape.

    Attributes:
        places: [parameter], the word of each.
        scales: [word], powers of two; 1 for padding.
        stride: words of a network.
    """

    def __init__(self, layout: Layout) -> None:
        width, size = layout.width, layout.size
        self.places = np.empty(size, dtype=np.int64)
        start = 0
        scales = []
        for layer, (weights, biases) in enumerate(layout.slices):
            number, own = weights.stop - weights.start, biases.stop - biases.start
            inner = 0 < layer < layout.layers
            self.places[biases] = start + np.arange(own) + (0 if inner else number)
            self.places[weights] = start + np.arange(number) + (own if inner else 0)
            scale = np.ones(_rounded(number + own))
            if layer == layout.layers:
                scale[:number] = SHIFT
            elif layer == 0:
                scale[: number + own] = 1.0 / SHIFT
            else:
                scale[:width] = 1.0 / SHIFT
            scales.append(scale)
            start += scale.size
        summed = -(-start // GROUP) * GROUP
        rounded = _rounded(summed)
        self.stride = rounded + 4 if rounded % 32 == 0 else rounded
        self.scales = np.ones(self.stride, dtype=np.float32)
        self.scales[:start] = np.concatenate(scales)

    def packed(self, networks: SingleArray, scaled: bool) -> SingleArray:
        """[network, word]; state of the optimizer is not scaled."""
        words = np.zeros((len(networks), self.stride), dtype=np.float32)
        words[:, self.places] = networks * self.scales[self.places] if scaled else networks
        return words

    def unpacked(self, words: SingleArray, scaled: bool) -> SingleArray:
        """[network, parameter]."""
        found = words[:, self.places]
        return np.asarray(found / self.scales[self.places] if scaled else found, dtype=np.float32)


def padded_samples(x: FloatArray, y: FloatArray) -> SingleArray:
    """{x, y, 1, 0} of every sample, padded with {0, 0, 0, 0} to whole passes, [sample, 4]."""
    at_once = GROUP * SAMPLES
    samples = np.zeros((-(-x.size // at_once) * at_once, 4), dtype=np.float32)
    samples[: x.size, 0], samples[: x.size, 1], samples[: x.size, 2] = x, y, 1.0
    return samples


def shared_bytes(layout: Layout, samples: int, adadelta: bool) -> int:
    """Shared memory of a block."""
    stride = Packing(layout).stride
    return 4 * ((THREADS // GROUP) * stride * (3 if adadelta else 2) + stride + 4 * samples)


class FusedTrainer:
    """Trains networks of one layout on one set of samples, as `lanes.Trainer` does.

    Args:
        layout: their shape.
        x: [sample].
        y: [sample].
        launcher: makes the launch for a layout and an optimizer.

    Raises:
        UnavailableError: the networks or the training set are too large, or the kernel cannot be compiled.
    """

    def __init__(self, layout: Layout, x: FloatArray, y: FloatArray, launcher: Launcher) -> None:
        if layout.size > MOST_PARAMETERS:
            raise UnavailableError(
                f"Networks of {layout.size} parameters are too large for the fused kernel, beyond {MOST_PARAMETERS}."
            )
        self.layout = layout
        self._packing, self._samples = Packing(layout), padded_samples(x, y)
        if shared_bytes(layout, len(self._samples), True) > SHARED_MEMORY:
            raise UnavailableError(f"{x.size} samples do not fit the shared memory of the fused kernel.")
        self._factor = 2.0 / x.size
        self._launcher = launcher

    def train(
        self, crowd: Crowd, rule: Rule, steps: int, check: Check = unchecked, part: slice = slice(None),
        report: Report = unreported,
    ) -> SingleArray:  # fmt: skip
        """Take steps with some of the networks; as `lanes.Trainer.train`.

        Raises:
            UnavailableError: the kernel does not know the optimizer, or cannot be compiled.
            MemoryError: the networks do not fit the device; none was changed.
        """
        if rule.optimizer not in OPTIMIZERS:
            raise UnavailableError(f"The fused kernel does not know {rule.optimizer}.")
        adadelta = rule.optimizer == "adadelta"
        decay = {"gd": 0.0, "momentum": rule.momentum, "adadelta": rule.rho}[rule.optimizer]
        constants = np.array([rule.rate, decay, rule.epsilon, self._factor], dtype=np.float32)
        networks, state = crowd.networks[part], crowd.state[:, part]
        words = [self._packing.packed(networks, True)]
        words += [self._packing.packed(one, False) for one in state]
        words += [np.zeros_like(words[0]) for _ in range(3 - len(words))]
        losses = np.zeros(len(networks), dtype=np.float32)
        at_once = min(STEPS_IN_A_SLICE, max(1, NETWORK_STEPS_IN_A_SLICE // max(1, len(networks))))
        slices = [min(at_once, steps - done) for done in range(0, steps, at_once)]
        behind = iter([0, *slices])

        def between() -> None:
            """Before each slice: the one before it is behind us."""
            check()
            if done := next(behind):
                report(done * len(networks))

        launch = self._launcher(self.layout, adadelta)
        launch(words, self._samples, self._packing.scales, constants, losses, slices, between)
        if slices:
            report(slices[-1] * len(networks))
        crowd.networks[part] = self._packing.unpacked(words[0], True)
        for number in range(len(state)):
            crowd.state[number, part] = self._packing.unpacked(words[1 + number], False)
        return losses

    def verify(self, x: FloatArray, y: FloatArray) -> None:
        """Compare five steps of a few networks with plain ones in double precision.

        Raises:
            UnavailableError: they differ by more than single precision explains.
        """
        rng = np.random.default_rng(0)
        start = rng.uniform(-0.7, 0.7, (GROUP * 9 + 1, self.layout.size)).astype(np.float32)
        rule = Rule("momentum", 0.01)
        crowd = Crowd.beginning(start.astype(np.float64), "momentum")
        self.train(crowd, rule, 5)
        plain, velocity = start.astype(np.float64), np.zeros(start.shape)
        for _ in range(5):
            velocity = rule.momentum * velocity - rule.rate * loss_and_gradient(self.layout, plain, x, y)[1]
            plain = plain + velocity
        away = float(np.median(np.abs(crowd.networks - plain).max(axis=1)))
        if not away < 1e-5:
            raise UnavailableError(f"The fused kernel is wrong here: five steps are off by {away:.1e}.")


def torch_launcher(device: str) -> Launcher:
    """Launches on a device of torch, such as `cuda:0`."""

    def launcher(layout: Layout, adadelta: bool) -> Launch:
        import torch

        kernel = _kernel(device, layout, adadelta)

        def launch(
            words: list[SingleArray], samples: SingleArray, scales: SingleArray, constants: SingleArray,
            losses: SingleArray, slices: list[int], check: Check,
        ) -> None:  # fmt: skip
            try:
                launched(words, samples, scales, constants, losses, slices, check)
            except torch.OutOfMemoryError as error:
                raise MemoryError(str(error)) from None

        def launched(
            words: list[SingleArray], samples: SingleArray, scales: SingleArray, constants: SingleArray,
            losses: SingleArray, slices: list[int], check: Check,
        ) -> None:  # fmt: skip
            on_words = [torch.as_tensor(one, device=device) for one in words]
            # Constants go as an array: the launcher would pass Python's floats in double precision.
            rest = [torch.as_tensor(one, device=device) for one in (samples, scales, constants)]
            on_losses = torch.zeros(len(losses), dtype=torch.float32, device=device)
            networks, passes = len(losses), len(samples) // (GROUP * SAMPLES)
            grid = (-(-networks // (THREADS // GROUP)), 1, 1)
            memory = shared_bytes(layout, len(samples), adadelta)
            with torch.cuda.device(device):
                for steps in slices:
                    check()
                    arguments = [*on_words, *rest, on_losses, networks, passes, steps]
                    kernel(grid, (THREADS, 1, 1), arguments, shared_mem=memory)
                    torch.cuda.synchronize()
            for one, there in zip(words, on_words, strict=True):
                one[:] = there.cpu().numpy()
            losses[:] = on_losses.cpu().numpy()

        return launch

    return launcher


@functools.cache
def _kernel(device: str, layout: Layout, adadelta: bool) -> Any:
    """The compiled kernel.

    Raises: UnavailableError where there is no compiler or no device for it.
    """
    import torch

    compile_kernel = getattr(torch.cuda, "_compile_kernel", None)
    if compile_kernel is None:
        raise UnavailableError(f"torch {torch.__version__} cannot compile CUDA kernels; 2.9 or newer can.")
    head = "".join(f"#define {name} {value}\n" for name, value in macros(layout, adadelta).items())
    try:
        with torch.cuda.device(device):
            kernel = compile_kernel(head + source(), "train")
            kernel.set_shared_memory_config(SHARED_MEMORY)
    except (
        Exception
    ) as error:  # the compiler, the driver or a library that is missing: all mean the same here
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UnavailableError(f"The kernel cannot be compiled for {device} ({reason}).") from error
    return kernel
