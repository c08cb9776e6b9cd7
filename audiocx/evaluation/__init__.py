"""Scoring test sets, baselines, intervals and reports."""
