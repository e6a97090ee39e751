"""The fully connected CRF: probabilities that follow the image's edges.

Files, lowest first:

    options     what to do: two kernels, iterations, normalisation; the papers' numbers
    kernels     what makes two pixels alike: features and a weight
    lattice     the permutohedral lattice: where each pixel lies among vertices, and their neighbours
    mean_field  the iterations, compiled by Numba
    refine      probabilities and pixels in, probabilities out

In PyTorch, where there is no Numba, on other devices, and where the CRF is to learn:

    torch_lattice     the same lattice, by sorting
    torch_gaussian    the spatial kernel's exact sum
    torch_mean_field  the iterations, with gradients
    layer             logits in, logits out; weights and compatibility are learned
"""
