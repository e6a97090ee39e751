"""Data sets: what is on disk, how it is read, and what training sees of it."""
