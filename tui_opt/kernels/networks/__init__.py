"""Networks with one input, one output and a few ReLU layers: built, trained by the thousand, and looked at."""
