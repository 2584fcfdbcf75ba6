"""The ways a run or a command can end other than well, each with its exit code and a sentence for the user."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line; scripts rely on them."""

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    DEVICE_UNAVAILABLE = 3
    EXPECTATION_FAILED = 4
    SWEEP_INCOMPLETE = 5
    INTERRUPTED = 130
    TERMINATED = 143


class OptexploreError(Exception):
    """An error whose text is a sentence for the user: what was wrong, what is allowed, what to do next."""

    exit_code = ExitCode.RUN_FAILED


class UsageError(OptexploreError):
    """The command or the scenario file cannot be understood."""

    exit_code = ExitCode.USAGE


class DeviceUnavailableError(OptexploreError):
    """The device asked for is not on this machine."""

    exit_code = ExitCode.DEVICE_UNAVAILABLE


class StoreError(OptexploreError):
    """A run directory or a store cannot be read or written."""


class ExperimentError(OptexploreError):
    """The question has no answer for these parameters, and the text says why."""


class TooLargeError(OptexploreError):
    """The run would not fit this machine; the text gives the numbers."""


class DataError(OptexploreError):
    """A data set is not there, or its files are not what they should be."""


class CancelledError(Exception):
    """Raised inside a computation by `ctx.check()` when somebody asked it to stop."""
