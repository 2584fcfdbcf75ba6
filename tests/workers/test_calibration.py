"""The speed of this machine: measured once, and harmless where it is missing or damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_opt.runner import calibration
from tui_opt.runner.calibration import REFERENCE_SECONDS, calibrate, factor


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("OPTEXPLORE_CACHE_DIR", str(folder))
    return folder


def test_a_machine_is_measured_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert factor() == 1.0
    monkeypatch.setattr(calibration, "measured", lambda: 3 * REFERENCE_SECONDS)
    calibrate()
    assert factor() == 3.0
    monkeypatch.setattr(calibration, "measured", lambda: 5 * REFERENCE_SECONDS)
    calibrate()
    assert factor() == 3.0


def test_an_absurd_measurement_is_not_believed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "measured", lambda: 1000.0)
    calibrate()
    assert factor() == 20.0


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"factor": "x"}', '{"factor": -1}', '{"factor": 1e9}', "\xff"]
)
def test_a_damaged_file_means_nothing(cache: Path, text: str) -> None:
    calibrate()
    (path,) = cache.iterdir()
    path.write_text(text, encoding="latin-1")
    assert factor() == 1.0


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path) -> None:
    cache.write_text("")
    calibrate()
    assert factor() == 1.0
