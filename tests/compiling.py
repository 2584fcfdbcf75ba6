"""Most kernels are compiled when their module is imported: the processes of a session do that together.

So they do with the modules of the tests, in which pytest writes out every assertion, which takes as long.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from pathlib import Path

import tests
import tui_opt


def import_a_share(process: int, processes: int) -> None:
    """Import all kernels and then all tests, each beginning where none of the other processes begins.

    What another has compiled by then is found in the cache. Left to themselves, all would import the test modules in
    the same order and compile everything at the same time.
    """
    for names in (_modules(tui_opt, "kernels"), _modules(tests, "")):
        first = len(names) * process // processes
        for name in names[first:] + names[:first]:
            with contextlib.suppress(Exception):  # the tests that need it will tell
                importlib.import_module(name)


def _modules(package: object, folder: str) -> list[str]:
    """The names of all modules in a folder of a package; of tests, the names of those that pytest finds."""
    path = Path(package.__path__[0], folder)
    prefix = ".".join(filter(None, (package.__name__, folder, "")))
    names = [module.name for module in pkgutil.walk_packages([str(path)], prefix)]
    return [name for name in names if package is not tests or name.rpartition(".")[2].startswith("test_")]
