"""Predictions in other programs' formats."""
