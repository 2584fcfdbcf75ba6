"""Where a small network keeps what it learnt: training with tallies of its updates, and what is read from them."""
