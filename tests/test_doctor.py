"""`optexplore doctor`: every check with the situation it is there for, made on purpose."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tui_opt import device, scenario
from tui_opt.cli import doctor as command
from tui_opt.datasets.mnist import FILES
from tui_opt.doctor import data, examine, machine, promises, software, storage, survival, terminal
from tui_opt.doctor.check import Check, Examiner, size_text
from tui_opt.doctor.warm import warm
from tui_opt.params import Params, Whole, whole
from tui_opt.result import Result
from tui_opt.runner.cgroups import Limits, limits
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.scenario import Estimate, Experiment, Scenario

TOML = 'scenario = "toy-sgd"\nexperiment = "landscape"\n'


def one(checks: Iterable[Check], name: str) -> Check:
    found = [check for check in checks if check.name == name]
    assert len(found) == 1, found
    return found[0]


def states(checks: Iterable[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


# --- the machinery -----------------------------------------------------------------------------------------


def test_a_note_or_problem_must_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="what to do"):
        Check("g", "n", "note", "something")


def test_a_failing_look_is_a_line_and_keeps_what_it_found() -> None:
    def look() -> Iterator[Check]:
        yield Check("g", "first", "ok", "fine")
        raise RuntimeError("broken inside")

    first, second = Examiner("g", "n", look).checks()
    assert first.name == "first"
    assert second.state == "problem"
    assert "RuntimeError: broken inside" in second.text


def test_a_hanging_look_is_left_behind() -> None:
    forever = threading.Event()

    def look() -> Iterator[Check]:
        forever.wait()
        yield from ()

    (check,) = Examiner("g", "n", look, patience=0.05, when_slow=("note", "Wait.")).checks()
    forever.set()
    assert (check.state, check.advice) == ("note", "Wait.")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (123_456_789, "123 MB"), (2e15, "2000 TB")],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


# --- software ----------------------------------------------------------------------------------------------


def version_without(*missing: str) -> software.Version:
    def version(name: str) -> str:
        if name in missing:
            raise metadata.PackageNotFoundError(name)
        return "1.2"

    return version


def test_versions() -> None:
    assert set(states(software.versions(version_without())).values()) == {"ok"}
    without_matplotlib = one(software.versions(version_without("matplotlib")), "image")
    assert (without_matplotlib.state, "optexplore[image]" in without_matplotlib.advice) == ("note", True)
    assert states(software.versions(version_without("numba")))["missing"] == "problem"
    assert states(software.versions(version_without("textual")))["missing"] == "note"
    assert states(software.versions(version_without("optexplore")))["optexplore"] == "note"
    assert one(software.versions(version_without("torch")), "libraries").values["torch"] is None


@pytest.fixture
def broken_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package on the path whose entry point cannot be imported."""
    info = tmp_path / "faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[optexplore.scenarios]\nfaulty = faulty_module:SCENARIO\n")
    (tmp_path / "faulty_module.py").write_text("raise ValueError('half written')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    scenario.registry.cache_clear()
    yield
    scenario.registry.cache_clear()


@pytest.mark.usefixtures("broken_plugin")
def test_a_broken_plugin_is_a_problem_with_its_reason() -> None:
    check = one(software.plugins(), "plugin")
    assert check.state == "problem"
    assert "faulty (faulty_module:SCENARIO)" in check.text
    assert "ValueError: half written" in check.text
    assert "faulty" not in one(software.plugins(), "plugins").text


def test_scenario_files(tmp_path: Path) -> None:
    assert one(software.scenario_files(tmp_path), "scenarios").state == "problem"
    (tmp_path / "toy-sgd").mkdir()
    (tmp_path / "toy-sgd" / "good.toml").write_text(TOML)
    assert one(software.scenario_files(tmp_path), "scenarios").values["files"] == 1
    (tmp_path / "toy-sgd" / "bad.toml").write_text(TOML + "[params]\npionts = 3\n")
    checks = list(software.scenario_files(tmp_path))
    bad = one(checks, "scenario")
    assert bad.state == "problem"
    assert "toy-sgd/bad.toml" in bad.text
    assert "pionts" in bad.text
    assert one(checks, "scenarios").text == "1 of 2 scenario files can be used"


# --- cores, threads, memory --------------------------------------------------------------------------------


def test_limits_of_a_batch_job_lie_above_the_step(tmp_path: Path) -> None:
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    step = root / "slurm" / "job_7" / "step_0"
    step.mkdir(parents=True)
    membership.write_text("0::/slurm/job_7/step_0\n")
    assert limits(membership, root) == Limits()
    (step / "cpu.max").write_text("max 100000\n")
    (step.parent / "cpu.max").write_text("250000 100000\n")
    (step / "memory.max").write_text("max\n")
    (step.parent / "memory.max").write_text("8000\n")
    (step.parent / "memory.current").write_text("3000\n")
    (root / "memory.max").write_text("100000\n")
    assert limits(membership, root) == Limits(cores=2.5, memory=8000, memory_free=5000)


def test_limits_of_version_one(tmp_path: Path) -> None:
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    membership.write_text("9:name=systemd:/\n4:memory:/job\n1:cpu,cpuacct:/job\n")
    (root / "memory" / "job").mkdir(parents=True)
    (root / "cpu,cpuacct" / "job").mkdir(parents=True)
    (root / "memory" / "job" / "memory.limit_in_bytes").write_text("6000\n")
    (root / "memory" / "job" / "memory.usage_in_bytes").write_text("7000\n")
    (root / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (root / "cpu,cpuacct" / "job" / "cpu.cfs_quota_us").write_text("150000\n")
    (root / "cpu,cpuacct" / "job" / "cpu.cfs_period_us").write_text("100000\n")
    assert limits(membership, root) == Limits(cores=1.5, memory=6000, memory_free=0)


def test_fewer_cores_than_the_affinity_mask_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_cores", lambda: 8)
    check = one(machine.cpu(Limits(cores=1.5)), "cpu")
    assert (check.state, "--threads 2" in check.advice) == ("note", True)
    assert one(machine.cpu(Limits(cores=8.0)), "cpu").state == "ok"


@pytest.mark.parametrize(
    ("env", "state", "said"),
    [
        ({}, "ok", "runs take 4"),
        ({"OMP_NUM_THREADS": "4,2"}, "ok", "OMP_NUM_THREADS=4,2"),
        ({"OMP_NUM_THREADS": "16"}, "note", "set it to 4"),
        ({"MKL_NUM_THREADS": "many"}, "note", "Unset MKL_NUM_THREADS"),
        ({"NUMBA_NUM_THREADS": "many"}, "problem", "Unset NUMBA_NUM_THREADS"),
        ({"NUMBA_NUM_THREADS": "1"}, "note", "all 4 cores"),
        ({"SLURM_CPUS_PER_TASK": "2"}, "note", "--threads 2"),
        ({"SLURM_CPUS_PER_TASK": "4"}, "ok", "runs take 4"),
    ],
)
def test_threads(env: Mapping[str, str], state: str, said: str) -> None:
    check = one(machine.threads(env, 4), "threads")
    assert check.state == state
    assert said in f"{check.text} {check.advice}"


def test_memory_under_a_limit() -> None:
    check = one(machine.memory(Limits(memory=3_000_000_000, memory_free=500_000_000)), "memory")
    assert check.state == "note"
    assert "500 MB available (control group: 3 GB)" in check.text


# --- GPUs --------------------------------------------------------------------------------------------------

FOUR = """\
0, GPU-aaaa, Tesla A, 16000, 15000
1, GPU-bbbb, Tesla B, 16000, 1000
2, GPU-cccc, Tesla C, 80000, 70000
"""


@pytest.fixture
def nvidia(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Puts an `nvidia-smi` on PATH that answers as told."""

    def install(answer: str, code: int = 0) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    device.gpus.cache_clear()
    yield install
    device.gpus.cache_clear()


def graphics(setting: str | None) -> list[Check]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        env = {} if setting is None else {"CUDA_VISIBLE_DEVICES": setting}
        for name, value in env.items():
            patch.setenv(name, value)
        device.gpus.cache_clear()
        return list(machine.graphics(env))


def test_several_gpus_with_their_memory(nvidia: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia(FOUR)
    monkeypatch.setattr(machine, "versions", lambda: {"torch": "2.9"})
    checks = graphics(None)
    assert states(checks) == {"cuda:0": "ok", "cuda:1": "note", "cuda:2": "ok"}
    assert one(checks, "cuda:2").values["free"] == 70000 << 20
    assert "Tesla B" in one(checks, "cuda:1").text
    monkeypatch.setattr(machine, "versions", lambda: {"torch": "2.9+cpu"})
    assert states(graphics(None))["torch"] == "note"


def test_visible_devices_are_renumbered(nvidia: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia(FOUR)
    monkeypatch.setattr(machine, "versions", dict)
    checks = graphics("2,GPU-aaaa")
    assert states(checks) == {"cuda:0": "ok", "cuda:1": "ok", "visible": "ok"}
    assert "Tesla C" in one(checks, "cuda:0").text
    checks = graphics("0,7,2")
    assert states(checks) == {"cuda:0": "ok", "visible": "note"}
    assert "leaves 1 GPUs of the 3" in one(checks, "visible").text
    assert states(graphics("")) == {"visible": "ok"}
    assert states(graphics("MIG-1234")) == {"visible": "note", "gpu": "note"}


def test_a_driver_that_does_not_answer(nvidia: Any) -> None:
    nvidia("Failed to initialize NVML: Driver/library version mismatch", code=18)
    check = one(graphics(None), "gpu")
    assert check.state == "problem"
    assert "Driver/library version mismatch" in check.text


def test_no_gpu_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    device.gpus.cache_clear()
    assert one(graphics(None), "gpu").state in ("ok", "note")
    device.gpus.cache_clear()


# --- the terminal ------------------------------------------------------------------------------------------

GOOD = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "en_US.UTF-8"}


def look(env: Mapping[str, str], **changes: Any) -> dict[str, Check]:
    options = {"is_terminal": True, "columns": 120, "lines": 40, "encoding": "utf-8"} | changes
    return {check.name: check for check in terminal.examine(terminal.Terminal(env, **options))}


def test_a_good_terminal() -> None:
    checks = look(GOOD)
    assert set(states(checks.values()).values()) == {"ok"}
    assert checks["colours"].text.startswith("16 million")


@pytest.mark.parametrize(
    ("env", "name", "said"),
    [
        ({"TERM": "dumb"}, "kind", "TERM=xterm-256color"),
        ({"TERM": "dumb"}, "colours", "none colours"),
        ({"TERM": ""}, "kind", "not set"),
        ({"NO_COLOR": "1"}, "colours", "Unset NO_COLOR"),
        ({"TERM": "xterm", "COLORTERM": ""}, "colours", "16 colours"),
        ({"LANG": "C"}, "characters", "LANG=C.UTF-8"),
        ({"STY": "1.pts"}, "screen", "tmux"),
        ({"SSH_CONNECTION": "a b", "COLORTERM": ""}, "ssh", "SendEnv COLORTERM"),
    ],
)
def test_terminals_that_lack_something(env: Mapping[str, str], name: str, said: str) -> None:
    check = look({**GOOD, **env})[name]
    assert check.state == "note"
    assert said in f"{check.text} {check.advice}"


def test_what_is_asked_for_is_no_lack() -> None:
    assert look({**GOOD, "OPTEXPLORE_ASCII": "1"}, encoding="ascii")["characters"].state == "ok"
    assert look(GOOD, encoding="iso8859-1")["characters"].state == "note"
    assert look(GOOD, columns=70)["size"].state == "note"
    assert look(GOOD, columns=70, is_terminal=False)["size"].state == "ok"
    assert look({**GOOD, "SSH_CONNECTION": "a b"})["ssh"].state == "ok"


def test_tmux_that_does_not_answer_gets_all_the_advice() -> None:
    check = look({**GOOD, "TMUX": "/x,1,0"}, ask=lambda words: None)["tmux"]
    assert 'terminal-overrides ",*:Tc"' in check.advice


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_real_tmux_before_and_after_the_advice(tmp_path: Path) -> None:
    socket = str(tmp_path / "s")

    def ask(words: list[str]) -> str | None:
        assert words[0] == "tmux"
        answer = subprocess.run(
            ["tmux", "-S", socket, *words[1:]], capture_output=True, text=True, timeout=10, check=True
        )
        return answer.stdout.strip("\n")

    def checks() -> list[Check]:
        found = terminal.examine(terminal.Terminal({**GOOD, "TMUX": socket}, True, 120, 40, "utf-8", ask))
        return [check for check in found if check.name == "tmux"]

    ask(["tmux", "-f", "/dev/null", "new-session", "-d", "sleep 60"])
    try:
        ask(["tmux", "set", "-s", "escape-time", "500"])
        before = checks()
        assert [check.state for check in before] == ["note"] * 3
        for check in before:
            line = check.advice.partition(": ")[2]
            subprocess.run(["sh", "-c", f"tmux -S {socket} {line}"], timeout=10, check=True)
        assert [check.state for check in checks()] == ["ok"]
    finally:
        ask(["tmux", "kill-server"])


# --- data sets ---------------------------------------------------------------------------------------------


def test_digits(tmp_path: Path) -> None:
    assert one(data.digits(data._scikit_learn()), "digits").state == "ok"
    assert "not installed" in one(data.digits(None), "digits").text
    assert "cannot be read" in one(data.digits(tmp_path), "digits").text
    path = tmp_path / "datasets" / "data" / "digits.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(b"1,2\n" * 5))
    assert "holds 5 digits, not 1797" in one(data.digits(tmp_path), "digits").text


def test_mnist(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    check = one(data.mnist([near, far]), "mnist")
    assert check.state == "note"
    assert str(near / "mnist") in check.advice
    assert all(file.name in check.advice for file in FILES)
    (far / "mnist").mkdir(parents=True)
    for i, file in enumerate(FILES):
        content = file.header + b"rest"
        if i % 2:
            (far / "mnist" / f"{file.name}.gz").write_bytes(gzip.compress(content))
        else:
            (far / "mnist" / file.name).write_bytes(content)
    assert one(data.mnist([near, far]), "mnist").state == "ok"
    (far / "mnist" / "train-images-idx3-ubyte").write_bytes(b"<html>")
    assert one(data.mnist([near, far]), "mnist").state == "problem"
    (far / "mnist" / "train-images-idx3-ubyte").unlink()
    incomplete = one(data.mnist([near, far]), "mnist")
    assert incomplete.values["missing"] == ["train-images-idx3-ubyte"]
    assert str(far / "mnist") in incomplete.advice


# --- the store ---------------------------------------------------------------------------------------------


def look_at_store(path: Path) -> list[Check]:
    return [
        check for examiner in storage.examiners(path) for check in examiner.checks() if check.group == "store"
    ]


def test_a_store_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    checks = look_at_store(tmp_path / "a" / "store")
    assert "problem" not in states(checks).values()
    assert "made by the first run" in one(checks, "folder").text
    assert states(checks)["locks"] == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_store_with_runs(tmp_path: Path) -> None:
    for state in ("done", "failed", "running"):
        run = RunDirectory.create(tmp_path, "toy-sgd", "landscape", TOML, claim=False)
        run.write_status({"state": state, "progress": 0.5}, sync=False)
    foreign = tmp_path / "20260101T000000Z-toy-sgd-landscape-abcdef"
    foreign.mkdir()
    checks = look_at_store(tmp_path)
    assert one(checks, "runs").values == {"done": 1, "failed": 1, "lost": 1, "unreadable": 1}
    assert f"optexplore runs resume {run.id}" in one(checks, "lost").advice
    assert f"such as {foreign.name}" in one(checks, "unreadable").text
    assert one(checks, "size").values["bytes"] > 3 * len(TOML)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".new-")] == []


@pytest.mark.parametrize("place", ["below a file", "/proc/optexplore"])
def test_a_store_that_cannot_be_written(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = Path(place) if place.startswith("/") else tmp_path / "file" / "store"
    checks = look_at_store(path)
    assert one(checks, "folder").state == "problem"
    assert "--out" in one(checks, "folder").advice
    assert [check.state for check in checks].count("problem") == 1


def test_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((10_000_000, "problem"), (1_000_000_000, "note"), (10_000_000_000, "ok")):
        usage = shutil._ntuple_diskusage(10**12, 0, free)  # type: ignore[attr-defined]
        monkeypatch.setattr(shutil, "disk_usage", lambda place, usage=usage: usage)
        assert next(storage.space(tmp_path)).state == state


MOUNTS = r"""
22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:40 / /home rw shared:1 - nfs4 server:/home rw
31 22 0:41 / /home/me/fast rw - xfs /dev/vdb rw
32 22 0:42 / /with\040space rw - lustre a@tcp rw
33 22 0:43 / /twice rw - ext4 /dev/vdc rw
34 22 0:44 / /twice rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "state"),
    [
        ("/srv", "ext4", "ok"),
        ("/home/me/runs", "nfs4", "note"),
        ("/homes", "ext4", "ok"),
        ("/home/me/fast/x", "xfs", "ok"),
        ("/with space/x", "lustre", "note"),
        ("/twice", "tmpfs", "note"),
    ],
)
def test_file_systems(
    path: str, kind: str, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert storage.mount_type(Path(path), MOUNTS) == kind
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(storage, "existing", lambda path: path)
    assert one(storage.file_system(Path(path), mounts), "file system").state == state


@pytest.fixture
def memory_store(tmp_path: Path) -> Iterator[Path]:
    """A store on a tmpfs, mounted where that is allowed."""
    place = tmp_path / "ram"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        subprocess.run(words, capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("a tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], timeout=10, check=True)


def test_a_store_in_memory(memory_store: Path) -> None:
    checks = look_at_store(memory_store)
    assert one(checks, "file system").values == {"type": "tmpfs"}
    assert states(checks)["space"] == "problem"
    assert states(checks)["locks"] == "ok"
    (memory_store / "filler").write_bytes(bytes((1 << 20) - 8192))
    with pytest.raises(OSError, match="No space left"):
        (memory_store / "more").write_bytes(bytes(1 << 20))
    checks = look_at_store(memory_store)
    assert states(checks)["space"] == "problem"


def test_locks_are_tried_with_two_processes(tmp_path: Path) -> None:
    assert promises.locks(tmp_path).state == "ok"
    refused = promises.locks(tmp_path, "print('No locks available', flush=True)")
    assert (refused.state, refused.text) == ("problem", "a lock cannot be taken: No locks available")
    nothing = promises.locks(tmp_path, "import sys; print('held', flush=True); sys.stdin.read()")
    assert "two processes can hold one lock" in nothing.text
    # The holder's child keeps the lock when the holder is killed, as a server that never forgets would.
    outliving = (
        "import fcntl, os, sys, time; fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(fd, fcntl.LOCK_EX)\n"
        "if os.fork() == 0: os.close(0); os.close(1); time.sleep(5); os._exit(0)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    assert "outlives the process" in promises.locks(tmp_path, outliving).text


def test_torn_replacements_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert promises.renames(tmp_path).state == "ok"

    def careless(path: Path, text: str, *, sync: bool) -> None:
        with open(path, "w") as file:
            file.write(text[:5000])
            file.flush()
            time.sleep(0.002)
            file.write(text[5000:])

    monkeypatch.setattr(promises.files, "write_text", careless)
    assert promises.renames(tmp_path).state == "problem"


def test_a_skewed_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert promises.clock(tmp_path).state == "ok"
    real = time.time
    monkeypatch.setattr(promises.time, "time", lambda: real() + 3600)
    check = promises.clock(tmp_path)
    assert (check.state, "3600 s behind" in check.text) == ("note", True)


def test_caches(tmp_path: Path) -> None:
    (tmp_path / "cache" / "numba").mkdir(parents=True)
    (tmp_path / "cache" / "numba" / "f.nbi").write_bytes(bytes(2500))
    checks = list(storage.caches(tmp_path / "cache", None))
    assert states(checks) == {"numba": "ok", "kernels": "ok"}
    assert one(checks, "numba").text.endswith("2.5 kB")
    assert not (tmp_path / "cache" / "kernels").exists()
    checks = list(storage.caches(tmp_path / "cache", "/proc/numba"))
    assert one(checks, "numba").state == "problem"
    assert "NUMBA_CACHE_DIR" in one(checks, "numba").advice
    (tmp_path / "file").write_text("")
    checks = list(storage.caches(tmp_path / "file", None))
    assert "OPTEXPLORE_CACHE_DIR" in one(checks, "kernels").advice


# --- what outlives a login ---------------------------------------------------------------------------------


def left(env: Mapping[str, str], uid: int = 1000, kills: bool | None = False) -> list[Check]:
    found = survival.left_running(env, uid, lambda: kills)
    return [check for check in found if check.name != "container"]


def test_what_ends_processes() -> None:
    slurm = one(left({"SLURM_JOB_ID": "42", "SLURM_JOB_END_TIME": str(int(time.time()) + 7200)}), "batch job")
    assert "Slurm job 42" in slurm.text
    assert "in 2.0 hours" in slurm.text
    assert "LSF job 9" in one(left({"LSB_JOBID": "9"}), "batch job").text
    assert "systemd-run --user --scope" in one(left({}, kills=True), "logout").advice
    assert left({}, uid=0, kills=True) == left({}, uid=0, kills=None)
    assert "logout" not in states(left({}, kills=None))


def test_logind_s_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert survival.kills_at_logout(tmp_path) is None
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))  # no busctl
    assert survival.kills_at_logout(tmp_path) is None
    (tmp_path / "etc/systemd/logind.conf.d").mkdir(parents=True)
    (tmp_path / "etc/systemd/logind.conf").write_text(
        "[Login]\n#KillUserProcesses=no\nKillUserProcesses=yes\n"
    )
    assert survival.kills_at_logout(tmp_path) is True
    (tmp_path / "etc/systemd/logind.conf.d/50.conf").write_text("[Login]\nKillUserProcesses = no\n")
    assert survival.kills_at_logout(tmp_path) is False
    busctl = tmp_path / "busctl"
    busctl.write_text("#!/bin/sh\necho 'b true'\n")
    busctl.chmod(0o755)
    assert survival.kills_at_logout(tmp_path) is True


# --- compiling ahead ---------------------------------------------------------------------------------------


class SizeParams(Params):
    """One size."""

    size: Whole = whole(10**9, low=1, help="How much.")


SIZES: list[int] = []


def compute(params: SizeParams, context: Any) -> Result:
    """Notes the size it was run with."""
    SIZES.append(params.size)
    if params.size == 13:
        raise RuntimeError("unlucky")
    return Result()


def experiment(**overrides: Any) -> Experiment:
    def estimate(params: SizeParams) -> Estimate:
        return Estimate(params.size * 1e-3, 1000)

    made = Experiment("e", "t", "s", SizeParams, f"{__name__}:compute", estimate)
    object.__setattr__(made, "warm", overrides)
    return made


def test_warming_runs_the_smallest_run_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTEXPLORE_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    monkeypatch.setenv("NUMBA_NUM_THREADS", str(machine.available_cores()))
    SIZES.clear()

    def check(**overrides: Any) -> Check:
        chosen = experiment(**overrides)
        (found,) = warm(Scenario("s", "t", (chosen,)), chosen)
        return found

    done = check(size=3)
    assert (done.state, done.values["compiled"], SIZES) == ("ok", False, [3])
    assert check().state == "note"
    assert SIZES == [3]
    failed = check(size=13)
    assert failed.state == "problem"
    assert "RuntimeError: unlucky" in failed.text
    assert check(size=-1).state == "problem"


# --- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def calm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a shipped scenario file, so that what is found depends on the test alone."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "one.toml").write_text(TOML)
    monkeypatch.setattr(software, "shipped_scenarios", lambda: folder)
    monkeypatch.setenv("OPTEXPLORE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(storage, "NO_SPACE", 0)
    return tmp_path


def test_exit_code_and_json(calm: Path) -> None:
    good = CliRunner().invoke(command.doctor_command, ["--json", "--out", str(calm / "store")])
    document = json.loads(good.stdout)
    assert good.exit_code == 0, [check for check in document if check["state"] == "problem"]
    assert {"group", "name", "state", "text"} <= set(document[0])
    assert all(check.get("advice") for check in document if check["state"] != "ok")
    (calm / "file").write_text("")
    bad = CliRunner().invoke(command.doctor_command, ["--json", "--out", str(calm / "file" / "store")])
    assert bad.exit_code == 1
    problems = [check for check in json.loads(bad.stdout) if check["state"] == "problem"]
    assert [check["name"] for check in problems] == ["folder"]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_page_fits_the_screen(columns: int, calm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    long = "/" + "x" * 200
    lines = command.section(
        "group", [Check("group", "name", "note", "word " * 60, f"Do {long} now.")], columns
    )
    plain = lines.plain.splitlines()
    assert all(len(line) <= columns for line in plain if long not in line)
    assert any(line.strip() == long for line in plain)  # whole, so that it can be copied
    page = CliRunner().invoke(command.doctor_command, ["--out", "s"]).stdout.splitlines()
    assert [line for line in page if line != line.rstrip()] == []
    assert [line for line in page if len(line) > columns and " /" not in line] == []
    assert page[-1].startswith("No problems, ")


def test_looking_imports_nothing_heavy(calm: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tui_opt.doctor import examine; list(examine(Path('s'))); "
        "heavy = ('numpy', 'scipy', 'numba', 'torch', 'sklearn', 'textual', 'matplotlib'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "[]\n"


def test_one_failing_look_does_not_cost_the_others(calm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*arguments: Any) -> Any:
        raise OSError("no such thing")

    monkeypatch.setattr(machine, "limits", explode)
    monkeypatch.setattr(storage.Store, "rows", explode)
    os.mkdir(calm / "store")
    checks = list(examine(calm / "store"))
    broken = [check.name for check in checks if check.state == "problem"]
    assert broken == ["cpu", "memory", "runs"]
    assert {"software", "devices", "terminal", "data sets", "store", "caches", "processes"} >= {
        c.group for c in checks
    }
    assert states(checks)["locks"] == "ok"
