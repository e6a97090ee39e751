"""What a network is trained to make small."""

from perpixel.losses.bootstrapped import bootstrapped_cross_entropy
from perpixel.losses.border import border_weights
from perpixel.losses.class_balance import BALANCE_RULES, BalanceRule, class_weights
from perpixel.losses.cross_entropy import LossNormalization, cross_entropy
from perpixel.losses.sampling import sample_target
from perpixel.losses.weighted import weighted_cross_entropy

__all__ = [
    "BALANCE_RULES",
    "BalanceRule",
    "LossNormalization",
    "bootstrapped_cross_entropy",
    "border_weights",
    "class_weights",
    "cross_entropy",
    "sample_target",
    "weighted_cross_entropy",
]
