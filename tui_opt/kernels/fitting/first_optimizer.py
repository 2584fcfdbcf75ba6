"""PyTorch's first optimizer imports a compiler that nobody here uses: seconds in which a run must be stoppable."""

from __future__ import annotations

import threading

import torch

from tui_opt.kernels.callables import Check

PATIENCE = 0.05


def make_first_optimizer(check: Check) -> None:
    """Make one on a thread of its own, and call `check` meanwhile; what it raises ends the waiting, not the import."""
    thread = threading.Thread(target=_make, name="first optimizer", daemon=True)
    thread.start()
    while thread.is_alive():
        check()
        thread.join(PATIENCE)


def _make() -> None:
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
