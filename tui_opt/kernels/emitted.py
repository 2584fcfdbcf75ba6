"""Modules whose source a program wrote, kept in the user's cache with what the compiler made of them."""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import os
import sys
import tempfile
import threading
from pathlib import Path
from types import ModuleType
from typing import Final

_LOADING: Final = threading.Lock()
_LOADED: Final[dict[Path, ModuleType]] = {}


def load_module(source: str, directory: Path, prefix: str) -> ModuleType:
    """The module with this source, which one of our own programs wrote; imported once per directory.

    It is kept as `<prefix>_<hash>.py` with the compiler's cache beside it. What is executed is `source` itself: a file
    with other content is replaced, never run. The directory must be the user's own, since the compiler trusts its cache
    files there.

    Args:
        source: Python, never with text that a user typed in it.
        directory: where it is kept.
        prefix: what the file's name begins with.
    """
    name = f"{prefix}_{hashlib.sha256(source.encode()).hexdigest()[:32]}"
    path = directory.resolve() / f"{name}.py"
    with _LOADING:
        module = _LOADED.get(path)
        if module is None:
            _write(path, source.encode())
            module = _LOADED[path] = _import(name, path, source.encode())
    return module


class _Verified(importlib.abc.SourceLoader):
    """Imports bytes we hold under the path where they stand, and reads no other file."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        self._content = content

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_data(self, path: str | bytes) -> bytes:
        if str(path) != str(self._path):
            raise OSError("only the verified source is read; there is no bytecode file")
        return self._content


def _import(name: str, path: Path, content: bytes) -> ModuleType:
    specification = importlib.util.spec_from_loader(name, _Verified(path, content))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # where the compiler looks for it when it reads its cache
    specification.loader.exec_module(module)
    return module


def _write(path: Path, content: bytes) -> None:
    """Put `content` at `path` unless it is there; a reader sees the whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.is_file() and path.read_bytes() == content:
            return  # untouched: a new modification time would make the compiler's cache stale
    except OSError:
        pass
    handle, temporary = tempfile.mkstemp(prefix=path.stem, suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
