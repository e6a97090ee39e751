"""The networks: one paper, one file, and `catalog`, one table of them all."""
