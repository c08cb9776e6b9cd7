"""Complex layers on planar tensors: real parts of all features first, then the imaginary parts."""
