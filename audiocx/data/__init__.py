"""Corpora, mixing and data modules: what turns recordings or rendered sounds into batches of complex STFTs."""
