"""The science: pure functions, arrays in, arrays out. Nothing here does I/O, prints, or draws."""
