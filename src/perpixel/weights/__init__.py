"""Weights of others: files, names and surgery; no networks."""
