"""Warming up: import what an experiment needs before anybody waits for it, and load its compiled kernels."""

from __future__ import annotations

import threading

from tui_opt.runner.context import Context
from tui_opt.runner.machine import (
    announced_compilation,
    kernel_cache,
    limited_threads,
    prepare_compilation,
    provenance,
)
from tui_opt.scenario import Experiment, registry

#: a run expected to take longer is no way to warm up.
LONGEST = 2.0


def warm(scenario: str, experiment: str) -> None:
    """Import libraries, and begin to import an experiment and to do a tiny run of it behind the scenes.

    Where nothing is compiled yet the import takes long: a run that is claimed meanwhile waits for it, and says so.

    Raises:
        UsageError: there is no such experiment.
    """
    found = registry().scenario(scenario).experiment(experiment)
    prepare_compilation()
    provenance("cpu", found.dtype, 1)
    with announced_compilation(lambda text: None), limited_threads(1):
        pass
    import tui_opt.runner.execute  # noqa: F401

    name = f"{scenario}/{experiment}"
    threading.Thread(target=_tiny_run, args=(name, found), name="warm", daemon=True).start()


def _tiny_run(name: str, experiment: Experiment) -> None:
    try:
        compute = experiment.load_compute()
        params = experiment.params.check(dict(experiment.warm))
        if "cpu" in experiment.devices and experiment.estimate(params).seconds <= LONGEST:
            compute(params, Context(name, kernels=kernel_cache()))
    except Exception:  # it fails again, and is told, when it is run
        return
