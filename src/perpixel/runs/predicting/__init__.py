"""Labelling what has no labels: images, rasters, films; into files that a rerun completes."""
