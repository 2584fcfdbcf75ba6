"""Explore the dynamics of optimization from a terminal."""
