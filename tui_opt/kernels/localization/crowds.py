"""Networks side by side on a device of PyTorch, and a block of steps of them all; `batched` has the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tui_opt.kernels.localization.courses import Courses
from tui_opt.kernels.localization.network import LEAK, OUTPUTS, Network, Tallies

FloatArray: TypeAlias = NDArray[np.float64]
Tensor: TypeAlias = torch.Tensor


@dataclass
class Outcome:
    """Networks after their courses.

    Args:
        networks: [course][network].
        losses: mean loss of the samples, each before its update, [course, network].
        tallies: [course][network]; empty where they were not asked for.
        traces: as `training.train` takes them, [course][network, step, unit + 1]; empty where they were not asked for.
    """

    networks: list[list[Network]]
    losses: FloatArray
    tallies: list[list[Tallies]] = field(default_factory=list)
    traces: list[FloatArray] = field(default_factory=list)


class Crowd:
    """Networks on a device, [course, ..., network x unit]: courses in the order of their lengths."""

    def __init__(
        self,
        courses: Courses,
        networks: Sequence[Sequence[Network]],
        activation: str,
        output: str,
        rates: FloatArray,
        classes: int,
        traced: bool,
    ) -> None:
        self.courses, self.activation, self.output, self.classes = courses, activation, output, classes
        self.number, self.hidden = len(rates), networks[0][0].biases.size
        width = self.number * self.hidden

        def tensor(values: Any) -> Tensor:
            return torch.as_tensor(values, dtype=courses.dtype, device=courses.device)

        def empty(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=courses.dtype, device=courses.device)

        self.weights = empty(len(networks), courses.pixels, width)
        self.biases = empty(len(networks), width)
        self.output_weights = empty(len(networks), self.number, OUTPUTS, self.hidden)
        self.output_biases = empty(len(networks), self.number, OUTPUTS)
        for i, some in enumerate(networks):
            same = next((k for k in range(i) if networks[k] is some), None)
            if same is not None:  # forks begin alike
                for part in (self.weights, self.biases, self.output_weights, self.output_biases):
                    part[i] = part[same]
                continue
            self.weights[i] = tensor(np.stack([n.weights for n in some], axis=1)).view(courses.pixels, width)
            self.biases[i] = tensor(np.concatenate([n.biases for n in some]))
            self.output_weights[i] = tensor(np.stack([n.output_weights for n in some]))
            self.output_biases[i] = tensor(np.stack([n.output_biases for n in some]))
        self.rates = tensor(rates)
        self.unit_rates = self.rates.repeat_interleave(self.hidden)
        self.losses = empty(len(networks), self.number)
        self.tally = empty(len(networks), classes, courses.pixels, width)
        self.tally_biases = empty(len(networks), classes, width)
        self.traces = [np.empty((self.number, n, self.hidden + 1)) for n in courses.lengths if traced]

    def outcome(self) -> Outcome:
        """Back on the processor, and in the order in which they came."""
        numbers = range(self.number)
        networks, tallies = [], []
        losses = self.losses.cpu().numpy().astype(np.float64)
        for i, steps in enumerate(self.courses.lengths):
            weights, biases = self._by_network(self.weights[i]), self._by_network(self.biases[i])
            last, last_biases = _array(self.output_weights[i]), _array(self.output_biases[i])
            networks.append([Network(weights[n], biases[n], last[n], last_biases[n]) for n in numbers])
            if self.classes:
                counts, bias_counts = self._by_network(self.tally[i]), self._by_network(self.tally_biases[i])
                tallies.append(
                    [Tallies(counts[n], bias_counts[n], float(losses[i, n]), steps) for n in numbers]
                )
        back = np.argsort(self.courses.order)
        lengths = np.maximum(self.courses.lengths, 1)[:, None]
        return Outcome(
            [networks[i] for i in back],
            (losses / lengths)[back],
            [tallies[i] for i in back] if tallies else [],
            [self.traces[i] for i in back] if self.traces else [],
        )

    def _by_network(self, part: Tensor) -> FloatArray:
        """[..., network x unit] as [network, ..., unit]."""
        return _array(part.view(*part.shape[:-1], self.number, self.hidden).movedim(-2, 0))


def _array(tensor: Tensor) -> FloatArray:
    return np.asarray(tensor.contiguous().cpu().numpy(), dtype=np.float64)


class Block:
    """So many steps of the first so many courses, in memory of their own that a recording can refer to."""

    def __init__(self, courses: Courses, crowd: Crowd, active: int, length: int) -> None:
        self.courses, self.crowd, self.active, self.length = courses, crowd, active, length
        width = crowd.number * crowd.hidden

        def empty(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=courses.dtype, device=courses.device)

        self._x = empty(active, length, courses.pixels)
        self._wanted = empty(active, length, OUTPUTS)
        self._gram = empty(active, length, length)
        self._z = empty(active, length, width)
        self._slopes = empty(active, length, width)  # dl/dz
        self._e = empty(active, length, width)
        self._out = empty(length, active, crowd.number, OUTPUTS)
        self._out_slopes = empty(length, active, crowd.number, OUTPUTS)
        self.state = crowd.output_weights[:active], crowd.output_biases[:active]

    def begin(self, first: int) -> None:
        """What the steps from `first` need that is the same for all of them."""
        courses, crowd, steps = self.courses, self.crowd, slice(first, first + self.length)
        chosen = courses.samples[: self.active, steps].reshape(-1)
        torch.index_select(courses.inputs, 0, chosen, out=self._x.view(-1, courses.pixels))
        self._wanted.copy_(courses.wanted[: self.active, steps])
        torch.bmm(self._x, self._x.transpose(1, 2), out=self._gram)
        self._gram.add_(1.0).neg_()
        biases = crowd.biases[: self.active, None]
        torch.baddbmm(biases, self._x, crowd.weights[: self.active], out=self._z)

    def steps(self) -> None:
        """The steps: what is launched here is recorded on a GPU."""
        for t in range(self.length):
            self._step(t)

    def _step(self, t: int) -> None:
        crowd, active = self.crowd, self.active
        many, units = active * crowd.number, crowd.hidden
        output_weights, output_biases = (part.view(many, OUTPUTS, -1) for part in self.state)
        if t:
            self._z[:, t : t + 1].baddbmm_(self._gram[:, t : t + 1, :t], self._e[:, :t])
        value, slope = _apply(crowd.activation, self._z[:, t])
        value = value.reshape(many, units, 1)
        out, error = self._out[t], self._out_slopes[t]
        torch.baddbmm(output_biases, output_weights, value, out=out.view(many, OUTPUTS, 1))
        _output_error(crowd.output, out, self._wanted[:, t, None], error)
        back = torch.bmm(error.view(many, 1, OUTPUTS), output_weights).view(active, -1)
        if slope is None:
            self._slopes[:, t] = back
        else:
            torch.mul(back, slope, out=self._slopes[:, t])
        torch.mul(self._slopes[:, t], crowd.unit_rates, out=self._e[:, t])
        move = (error * crowd.rates[:, None]).view(many, OUTPUTS, 1)
        output_weights.baddbmm_(move, value.transpose(1, 2), alpha=-1.0)
        output_biases.sub_(move)

    def end(self, first: int) -> None:
        """What the steps changed, apart from the output layer."""
        crowd, active = self.crowd, self.active
        crowd.weights[:active].baddbmm_(self._x.transpose(1, 2), self._e, alpha=-1.0)
        crowd.biases[:active].sub_(self._e.sum(dim=1))
        crowd.losses[:active].add_(_losses(crowd.output, self._out, self._wanted.transpose(0, 1)))
        if crowd.classes:
            self._tally(first)
        if crowd.traces:
            self._trace(first)

    def _tally(self, first: int) -> None:
        crowd, sizes = self.crowd, self._e.abs()
        for i in range(self.active):
            classes = self.courses.courses[i].classes[first : first + self.length]
            for c in np.unique(classes):
                chosen = torch.as_tensor(np.flatnonzero(classes == c), device=sizes.device)
                some = sizes[i, chosen]
                crowd.tally[i, c].addmm_(self._x[i, chosen].T, some)
                crowd.tally_biases[i, c].add_(some.sum(dim=0))

    def _trace(self, first: int) -> None:
        crowd = self.crowd
        errors = self._out_slopes.square().sum(dim=-1).sqrt().permute(1, 2, 0)
        for i in range(self.active):
            sizes = self._slopes[i].abs().view(self.length, crowd.number, crowd.hidden).transpose(0, 1)
            crowd.traces[i][:, first : first + self.length, :-1] = sizes.cpu().numpy()
            crowd.traces[i][:, first : first + self.length, -1] = errors[i].cpu().numpy()


def _apply(kind: str, z: Tensor) -> tuple[Tensor, Tensor | None]:
    """f(z) and f'(z), None where that is 1; as the compiled kernel, for what is not finite, too."""
    if kind == "softplus":
        return z.clamp_min(0.0) + torch.log1p(torch.exp(-z.abs())), torch.sigmoid(z)
    if kind == "relu":
        on = z > 0.0
        return torch.where(on, z, 0.0), on.to(z.dtype)
    if kind == "leaky-relu":
        on = z > 0.0
        return torch.where(on, z, LEAK * z), torch.full_like(z, LEAK).masked_fill_(on, 1.0)
    if kind == "sigmoid":
        s = torch.sigmoid(z)
        return s, s * (1.0 - s)
    if kind == "silu":
        s = torch.sigmoid(z)
        value = z * s
        return value, s + value * (1.0 - s)
    if kind == "tanh":
        t = torch.tanh(z)
        return t, 1.0 - t * t
    return z, None


def _output_error(kind: str, z: Tensor, wanted: Tensor, error: Tensor) -> None:
    """dl/dz of the outputs into `error`."""
    if kind == "softmax":
        torch.sub(torch.softmax(z, dim=-1), wanted, out=error)
        return
    value, slope = _apply(kind, z)
    torch.sub(value, wanted, out=error)
    if slope is not None:
        error.mul_(slope)


def _losses(kind: str, z: Tensor, wanted: Tensor) -> Tensor:
    """Losses summed over the steps of a block: z[step, course, network, output], wanted[step, course, output]."""
    wanted = wanted[:, :, None]
    if kind == "softmax":
        right = torch.where(wanted > 0.0, z, 0.0).sum(dim=-1)
        return (torch.logsumexp(z, dim=-1) - right).sum(dim=0)
    value, _ = _apply(kind, z)
    return 0.5 * (value - wanted).square().sum(dim=(0, -1))
