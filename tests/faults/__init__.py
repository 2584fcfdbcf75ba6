"""Faults with real processes: kills, signals, full disks, crowded and damaged stores."""
