"""Figures as files: the right format, the same bytes each time, and all or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tui_opt.figure import Axis, Band, Density, Figure, Heatmap, Histogram, Line, Ref, Rule, Scatter
from tui_opt.figure import Path as Orbit
from tui_opt.render.errors import RenderError

matplotlib = pytest.importorskip("matplotlib")

from tui_opt.render.image import save_figure  # noqa: E402

RNG = np.random.default_rng(0)
ARRAYS = {
    "z": np.array([[1.0, 2.0, np.nan], [10.0, 0.0, 5.0]]),
    "t": np.arange(60_000.0),
    "walk": np.cumsum(RNG.standard_normal(60_000)),
}
CURVES = Figure(
    name="f",
    title="Costs $5 and $6",  # a pair of dollar signs is no formula
    x=Axis(label="T", unit="step size", scale="log"),
    y=Axis(label="P"),
    layers=(
        Band(x=(1, 2, 3), low=(0, 1, 2), high=(1, 2, 3), label="95 %"),
        Line(x=(1, 2, 3), y=(0, 1, 2), label="10⁴ steps"),
        Scatter(x=(1, 2), y=(1, 2), error=(0.1, 0.2), label="Monte Carlo"),
        Rule(axis="x", value=1.5, label="barrier_height"),
        Rule(axis="y", value=1.0, label="sill"),
    ),
    caption="A caption. " * 20,
)
MAP = Figure(
    name="m",
    title="Map",
    layers=(
        Heatmap(x=(0, 1, 2), y=(0, 1), z=Ref(array="z"), label="loss", scale="log"),
        Orbit(x=(0, 1, 2), y=(0, 1, 0), label="descent"),
    ),
)
BARS = Figure(name="h", title="", layers=(Histogram(edges=(0, 1, 2), counts=(1, 2), label="walkers"),))
DENSE = Figure(
    name="d",
    title="Dense",
    layers=(
        Orbit(x=Ref(array="walk"), y=Ref(array="t"), label="orbit"),
        Scatter(x=Ref(array="walk"), y=Ref(array="t"), label="points"),
        Line(x=Ref(array="t"), y=Ref(array="walk"), label="line"),
    ),
)
COUNTED = Figure(
    name="c",
    title="Counted",
    x=Axis(scale="log"),
    layers=(Density(x=(0, 1, 2, 4), y=(0, 1, 2), counts=Ref(array="z"), label="visits"),),
)
EMPTY = Figure(name="e", title="Empty", layers=(Line(x=Ref(array="gone"), y=(1, 2)),))


@pytest.mark.parametrize("figure", [CURVES, MAP, BARS, DENSE, COUNTED, EMPTY], ids=lambda f: f.name)
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_figure_gives_the_same_bytes(figure: Figure, suffix: str, tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        path = save_figure(figure, ARRAYS, tmp_path / f"{name}{suffix}", dpi=60)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"one{suffix}", f"two{suffix}"]


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")]
)
def test_the_suffix_picks_the_format(suffix: str, start: bytes, tmp_path: Path) -> None:
    assert save_figure(BARS, ARRAYS, str(tmp_path / f"a{suffix}"), dpi=40).read_bytes().startswith(start)


def test_size_and_resolution_are_kept(tmp_path: Path) -> None:
    header = save_figure(BARS, {}, tmp_path / "a.png", dpi=50, size=(6, 3)).read_bytes()[16:24]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:])) == (300, 150)


def test_an_unknown_suffix_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"\.png, \.svg or \.pdf, and 'a\.gif' ends in none"):
        save_figure(BARS, {}, tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure as Page

    path = tmp_path / "a.png"
    path.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Page, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save_figure(BARS, {}, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_settings_of_the_host_neither_change_nor_matter(tmp_path: Path) -> None:
    plain = save_figure(CURVES, {}, tmp_path / "a.svg").read_bytes()
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        assert save_figure(CURVES, {}, tmp_path / "b.svg").read_bytes() == plain
        assert dict(matplotlib.rcParams) == before


def test_no_pyplot(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom tui_opt.figure import Figure, Line\nfrom tui_opt.render import save_figure\n"
        "figure = Figure(name='f', title='t', layers=(Line(x=(0, 1), y=(0, 1)),))\n"
        f"save_figure(figure, {{}}, {str(tmp_path / 'a.svg')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("ends", [(1e-300, 1e300), (0.0, 0.0), (-1e308, 1e308), (1.0, 1.0 + 1e-16)])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_extreme_ranges_are_drawn(ends: tuple[float, float], scale: str, tmp_path: Path) -> None:
    layer = Line(x=ends, y=ends)
    figure = Figure(name="f", title="t", x=Axis(scale=scale), y=Axis(scale=scale), layers=(layer,))  # type: ignore[arg-type]
    assert save_figure(figure, {}, tmp_path / "a.png", dpi=40).stat().st_size > 500
