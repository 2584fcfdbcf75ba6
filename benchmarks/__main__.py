"""Run every benchmark, print it, and keep it under `benchmarks/results/<machine>.json`.

python -m benchmarks [NAME ...]
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import benchmarks
from tui_opt.runner.machine import available_cores, prepare_compilation, versions

RESULTS = Path(__file__).parent / "results"


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found.group(1).strip() if found else platform.machine()


def machine_name() -> str:
    """A file name for this kind of machine: processor and cores."""
    name = re.sub(r"[^a-z0-9]+", "-", processor().lower()).strip("-")
    return f"{name}-{available_cores()}-cores"


def shown(row: dict[str, Any]) -> str:
    """A row as a line."""
    numbers = {k: v for k, v in row.items() if k != "name"}
    parts = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in numbers.items()]
    return f"  {row.get('name', '')}: " + ", ".join(parts)


def main(names: list[str]) -> None:
    """Measure the named benchmarks, or all."""
    prepare_compilation()
    known = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_")]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(known)}.")
    path = RESULTS / f"{machine_name()}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    measured: dict[str, Any] = kept.get("benchmarks", {})
    for name in names or known:
        print(f"\n{name}", flush=True)
        rows = importlib.import_module(f"benchmarks.{name}").measure()
        for row in rows:
            print(shown(row), flush=True)
        measured[name] = rows
    document = {
        "processor": processor(),
        "cores": available_cores(),
        "platform": platform.platform(),
        "versions": versions(),
        "date": datetime.now(UTC).date().isoformat(),
        "benchmarks": measured,
    }
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"\nkept in {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
