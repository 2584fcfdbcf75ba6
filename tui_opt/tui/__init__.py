"""The terminal app: screens and widgets over run directories. No numerics."""
