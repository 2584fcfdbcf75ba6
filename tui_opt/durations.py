"""Seconds as people say them."""

from __future__ import annotations

DAY = 86_400.0


def duration(seconds: float) -> str:
    """`0.04 s`, `3.2 s`, `45.0 s`, `12:05`, `3:05:00`, `12 days`."""
    if seconds >= 2 * DAY:
        return f"{seconds / DAY:,.0f} days"
    if seconds < 0.1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
