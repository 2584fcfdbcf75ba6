"""Running experiments: run directories, the context a computation sees, supervision, sweeps and verification."""
