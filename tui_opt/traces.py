"""Tracebacks for the developers: kept in a file of the user's cache, and never shown."""

from __future__ import annotations


def kept(trace: str) -> str:
    """Keep a traceback; a sentence that says where it is."""
    from tui_opt.locations import cache_dir

    path = cache_dir() / "last-error.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(trace, encoding="utf-8")
    except OSError as error:
        return f"The details could not be written to {path}: {error.strerror or error}."
    return f"The details are in {path}."


def unexpected(error: BaseException) -> str:
    """What a user is told of an error nobody thought of; its traceback is kept."""
    import traceback

    where = kept("".join(traceback.format_exception(error)))
    return f"something unexpected went wrong ({type(error).__name__}: {error}). {where}"
