"""The scenarios: parameters in, results out. No numerics and no drawing here."""
