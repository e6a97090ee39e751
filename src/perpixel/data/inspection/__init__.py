"""Look at a data set before training: what is in it, what is wrong, and how that is mended."""
