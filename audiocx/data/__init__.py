"""Corpora, mixing and data modules: from recordings or rendered sounds to batches of complex STFTs."""
