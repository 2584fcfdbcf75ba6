"""Seconds as people read them in a narrow column."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """`0.04 s`, `3.2 s`, `0:45`, `12:05`, `3:05:00`, `4 days`."""
    if seconds < 0.1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole >= 2 * 86_400:
        return f"{whole // 86_400:,} days"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
