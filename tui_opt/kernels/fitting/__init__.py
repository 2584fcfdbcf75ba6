"""Fitting of nonlinear models: loss curves, basins, descent, frequency scans."""
