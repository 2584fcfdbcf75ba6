"""Most kernels are compiled when their module is imported: the processes of a session do that together."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil

import tui_opt


def compile_a_share(process: int, processes: int) -> None:
    """Import all kernels, beginning where none of the other processes begins.

    What another has compiled by then is found in the cache. Left to themselves, all would import the test modules in
    the same order and compile everything at the same time.
    """
    found = pkgutil.walk_packages([f"{tui_opt.__path__[0]}/kernels"], "tui_opt.kernels.")
    names = [module.name for module in found]
    first = len(names) * process // processes
    for name in names[first:] + names[:first]:
        with contextlib.suppress(Exception):  # the tests that need it will tell
            importlib.import_module(name)
