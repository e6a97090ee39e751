"""The fully connected CRF: probabilities that follow the image's edges.

options     what to do: two kernels, iterations, normalisation; the papers' numbers
refine      probabilities and pixels in, probabilities out
kernels     what makes two pixels alike: features and a weight
lattice     the permutohedral lattice and its filter, compiled by Numba
mean_field  the iterations, compiled by Numba
"""
