"""Proofs of complex layers: the catalogue of all layers of audiocx and what each must hold."""
