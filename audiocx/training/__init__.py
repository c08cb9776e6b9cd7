"""Training: thin Lightning modules, optimizers, callbacks, the run folder."""
