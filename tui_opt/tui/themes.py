"""Themes of our own, dark, light, and with more contrast; Textual's stay available."""

from __future__ import annotations

from textual.theme import Theme

THEMES = (
    Theme(
        name="optexplore",
        primary="#5fafd7",
        secondary="#87afaf",
        accent="#ffaf5f",
        foreground="#d0d0d0",
        background="#121212",
        surface="#1c1c1c",
        panel="#262626",
        success="#87d787",
        warning="#ffd75f",
        error="#ff8787",
        dark=True,
    ),
    Theme(
        name="optexplore-light",
        primary="#005f87",
        secondary="#5f8787",
        accent="#af5f00",
        foreground="#262626",
        background="#ffffff",
        surface="#f4f4f4",
        panel="#e4e4e4",
        success="#005f00",
        warning="#875f00",
        error="#af0000",
        dark=False,
    ),
    Theme(
        name="optexplore-contrast",
        primary="#00d7ff",
        secondary="#ffffff",
        accent="#ffff00",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#303030",
        success="#00ff00",
        warning="#ffff00",
        error="#ff5f5f",
        dark=True,
    ),
)
