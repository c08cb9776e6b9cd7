"""Models: features, topologies in any arithmetic, heads, and the Separator that joins them with an STFT."""
