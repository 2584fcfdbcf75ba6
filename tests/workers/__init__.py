"""The queue and those who work on it: claims, slots, workers, live runs, cancelling."""
