"""The fully connected CRF with a run: its numbers, and how they are found."""
