"""What the theory page derives for thermostats whose state is a number, and the numbers it prints."""

from __future__ import annotations

import math
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import tui_opt
from tui_opt.kernels.linear_loop import closed_response, rate, response, worlds
from tui_opt.kernels.saturating_loop import Loop, follow_loop
from tui_opt.render.ascii import to_ascii
from tui_opt.theory import __file__ as theory_folder

PAGE = Path(theory_folder).with_name("thermostats.md").read_text(encoding="utf-8").split("# Parts 3 and 4")[1]


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, minus signs as the parser reads them."""
    section = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().replace("−", "-") for cell in line.strip("|").split("|")] for line in lines]


def test_the_rate_in_powers_of_the_gain() -> None:
    """-ln l1 = sum of (2n choose n)/(2n) k^n, since 1/l1 generates the numbers of Catalan."""
    for gain in (1e-3, 0.01, 0.02):
        series = sum(math.comb(2 * n, n) / (2 * n) * gain**n for n in range(1, 40))
        assert -rate(gain) == pytest.approx(series, rel=1e-12)
    assert [math.comb(2 * n, n) / (2 * n) for n in (1, 2, 3)] == [1.0, 1.5, 10 / 3]


def test_the_form_beyond_a_quarter() -> None:
    for gain in (0.3, 0.9, 2.0):
        phi = math.acos(1 / (2 * math.sqrt(gain)))
        t = np.arange(40)
        c = gain ** (t / 2) * np.sin((t + 1) * phi) / math.sin(phi)
        found = response(gain, 39)
        np.testing.assert_allclose(found.sign * np.exp(found.log), c, rtol=1e-9, atol=1e-12)


def test_the_table_of_the_linear_loop() -> None:
    rows = rows_of("network")
    assert len(rows) == 4
    for t, slow, fast in rows:
        for gain, printed in ((0.01, slow), (0.02, fast)):
            decimals = len(printed.split(".")[1])
            assert closed_response(gain, int(t)).log[-1] == pytest.approx(
                float(printed), abs=0.51 * 10**-decimals
            )


def test_the_printed_equation_of_the_machine_runs_away() -> None:
    """w_t^T = w_(t-1)^T - d: the machine falls by d at each step, and the room is driven up without end."""
    room, machine = 35.0, 10.0
    for _ in range(1000):
        room, machine = room - 0.01 * machine, machine - 25.0
    assert machine == 10.0 - 25.0 * 1000
    assert room > 1e5
    assert worlds(0.01, 25.0, 35.0, 10.0, 1e-3, [0.0] * 1000).w_room[-1] == pytest.approx(25.0, abs=1e-3)


def test_the_table_of_op_over_time() -> None:
    found = -follow_loop(Loop(1.0, 1.0, 25.0, 0.02), np.array([35.0]), 0.0, 1000).log_comp[:, 0]
    for t, op, limit in rows_of("saturating"):
        assert found[round(float(t) / 0.02)] == pytest.approx(float(op), abs=5.1e-7)
        assert float(limit) == max(0.0, float(t) - 9.0)


def test_doing_nothing_within_the_width_optimizes_nothing() -> None:
    """The printed function: the room stops at the edge, and changes are kept but for those across a step's end."""

    def end(room: float) -> float:
        machine = 0.0
        for _ in range(1000):
            action = 1.0 if machine >= 1.0 else -1.0 if machine <= -1.0 else 0.0
            room, machine = room - 0.02 * action, room - 25.0
        return room

    starts = np.linspace(5.003, 44.997, 97)
    comps = np.array([(end(r + 1e-7) - end(r)) / 1e-7 for r in starts])
    assert np.mean(np.abs(comps - 1.0) < 1e-6) > 0.95
    assert end(35.0) > 25.9


def sampled(
    width: float,
    power: float,
    dt: float,
    steps: int,
    points: int,
    machine: float | None,
    rule: str,
    delta: float,
) -> float:
    """The integral of 1 - Comp under one convention; a machine of None begins at R_0 - d."""
    loop, rooms = Loop(power, width, 25.0, dt), np.linspace(5.0, 45.0, points)
    if machine is None:
        # One step back in the thermostat's own time: T_1 = R_0 - d with R_1 = R_0 is a start with T_0 = 0.
        steps += 1
    ends = [follow_loop(loop, rooms + shift, 0.0, steps, steps).room[-1] for shift in (0.0, delta)]
    lost = 1.0 - (ends[1] - ends[0]) / delta
    return float(np.trapezoid(lost, rooms) if rule == "trapezoid" else lost.sum() * (rooms[1] - rooms[0]))


def test_no_convention_that_gives_the_other_integrals_gives_19_611() -> None:
    fits = []
    for dt, fewer, points, machine, rule, delta in product(
        (0.005, 0.01, 0.02, 0.05, 0.1),
        (0, 1),
        (101, 201, 400, 401, 801),
        (0.0, None),
        ("trapezoid", "sum"),
        (1e-3, 0.05),
    ):
        steps = round(10 / dt) - fewer
        convention = (dt, steps, points, machine, rule, delta)
        if (
            abs(sampled(1.0, 1.0, *convention) - 19.961) > 6e-4
            or abs(sampled(1.0, 0.5, *convention) - 9.980) > 6e-4
        ):
            continue
        fits.append(sampled(0.5, 1.0, *convention))
    assert len(fits) >= 3
    assert min(fits) > 19.95
    assert max(fits) < 20.08


def test_the_table_of_integrals() -> None:
    rows = rows_of("saturating-landscape")
    assert [float(row[2]) for row in rows] == [19.961, 19.611, 9.980]
    for width, power, _, grid, exact in (map(float, row) for row in rows):
        assert sampled(width, power, 0.02, 500, 401, 0.0, "trapezoid", 1e-3) == pytest.approx(
            grid, abs=5.1e-6
        )
        assert 2 * power * 499 * 0.02 == pytest.approx(exact, abs=1e-9)


def test_the_plants_are_those_of_the_kernel() -> None:
    from tui_opt.kernels.plants import LEAKY_ROOM, PENDULUM

    r, u = 1.3, 0.7
    assert LEAKY_ROOM.step((r,), u, np.sin)[0] == pytest.approx(r + 0.1 * (u - 0.2 * r - 0.6))
    a, w = 0.4, -0.2
    expected = a + 0.05 * w, w + 0.05 * (4 * math.sin(a) - 0.1 * w + u)
    assert PENDULUM.step((a, w), u, np.sin) == pytest.approx(expected)
    assert (LEAKY_ROOM.weights, LEAKY_ROOM.control_weight) == ((1.0,), 0.1)
    assert (PENDULUM.weights, PENDULUM.control_weight) == ((1.0, 0.1), 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("column", [1, 2], ids=["leaky-room", "pendulum"])
def test_the_table_of_controllers(column: int) -> None:
    """Within what is printed, give or take two standard errors: paths through torch promise tolerances, not bits."""
    result = tui_opt.run("thermostats", "controller", plant=("leaky-room", "pendulum")[column - 1], seeds=8)
    findings = {name: finding.value for name, finding in result.findings.items()}
    highest = float(np.median(result.arrays["op_median"].values.max(axis=1)))
    expected = {
        "Op before, nats": findings["op_before"],
        "Op after": findings["op_after"],
        "highest Op on the way": highest,
        "untrained with Op > 0": findings["untrained_positive_fraction"],
        "change ends with other sign": findings["negative_sign_fraction"],
        "neuron's Op : ablation loss": findings["neuron_rank_correlation"],
        "the same before training": findings["neuron_rank_correlation_before"],
        "weights : ablation loss": findings["weight_rank_correlation"],
    }
    rows = rows_of("controller")
    assert [row[0] for row in rows] == list(expected)
    for row in rows:
        number, _, stderr = row[column].partition("±")
        within = 2 * float(stderr) if stderr else 0.05 * max(1.0, float(number))
        assert expected[row[0]] == pytest.approx(float(number), abs=within), row[0]


def test_equations_fit_a_narrow_terminal_and_can_be_told_in_ascii() -> None:
    for block in re.findall(r"```\n(.*?)```", PAGE, flags=re.S):
        assert max(map(len, block.splitlines())) <= 76
    assert to_ascii(PAGE).count("?") == PAGE.count("?")
