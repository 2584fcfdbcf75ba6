"""What a run will take, settled before anything is written: its device, its threads, its memory."""

from __future__ import annotations

from dataclasses import dataclass

from tui_opt.device import resolve_device
from tui_opt.errors import TooLargeError
from tui_opt.runner.calibration import factor
from tui_opt.runner.machine import available_cores, available_memory
from tui_opt.runner.memory import advice, memory_needed
from tui_opt.scenario_file import ScenarioFile


@dataclass(frozen=True)
class Plan:
    """A run that may begin: its file with the device settled, and the threads it gets."""

    file: ScenarioFile
    device: str
    threads: int

    @property
    def expected_seconds(self) -> float:
        """What the run will take here, from its experiment's estimate for the reference machine."""
        points = 1 if self.file.sweep is None else self.file.sweep.size
        return points * self.file.experiment.estimate(self.file.params).seconds / self.threads * factor()


def plan(file: ScenarioFile, threads: int | None = None) -> Plan:
    """Settle device and threads, and refuse what cannot fit, before anything is written.

    Raises:
        DeviceUnavailableError: the device is not here.
        UsageError: the experiment cannot use it.
        TooLargeError: the estimate exceeds the memory that is free.
    """
    device = resolve_device(file.device, file.experiment.devices)
    need, largest = memory_needed(file)
    free = available_memory()
    if need > free:
        raise TooLargeError(
            f"{file.source or 'This run'}: {file.scenario.name}/{file.experiment.name} would take about "
            f"{need / 1e9:.3g} GB of memory, and {free / 1e9:.3g} GB are free. {advice(file, largest)}"
        )
    return Plan(file, device, threads or available_cores())
