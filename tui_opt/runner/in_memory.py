"""A run that leaves nothing on disk, for scripts and notebooks."""

from __future__ import annotations

from tui_opt.errors import ExperimentError
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.runner.machine import kernel_cache, limited_threads, prepare_compilation
from tui_opt.runner.planning import plan
from tui_opt.scenario_file import ScenarioFile


def run_in_memory(file: ScenarioFile, threads: int | None = None) -> Result:
    """Run a scenario file without a run directory, for scripts and notebooks.

    Raises:
        ExperimentError: the question has no answer for these parameters.
        OptexploreError: the run cannot be made here.
    """
    if file.sweep is not None:
        raise ExperimentError("A sweep keeps its points on disk; run it with `optexplore --batch`.")
    settled = plan(file, threads)
    prepare_compilation()
    context = Context(
        f"{file.scenario.name}/{file.experiment.name}",
        seed=file.seed,
        device=settled.device,
        threads=settled.threads,
        kernels=kernel_cache(),
    )
    compute = file.experiment.load_compute()  # first, so that the libraries it brings are limited too
    with limited_threads(settled.threads):
        return compute(file.params, context)
