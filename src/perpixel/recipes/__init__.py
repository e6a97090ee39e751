"""Recipes: one file per paper, plain data with the source of every number, and our everyday ones."""
