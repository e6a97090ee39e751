"""Weights of others: files, names and surgery; no networks.

load(name or file, classifier) -> state dict        a whole classifier
transplant(network, read(name or file), pixels)     into any network, by the names of its layers
"""

from perpixel.weights.classifier import load
from perpixel.weights.reading import Pretrained, read
from perpixel.weights.transplant import Transplant, transplant

__all__ = ["Pretrained", "Transplant", "load", "read", "transplant"]
