"""Training losses on waveforms: `(estimate, target)`, lower is better, defined for silent targets, too."""
