"""Arithmetic on waveforms and spectra: no parameters, no files."""
