"""Functions of tensors, and the few layers that PyTorch lacks. No weights are kept here, no files read."""
