"""The papers' recipes by name: a literal table, each a tuple of stages."""

from perpixel.recipes import fcn, segnet
from perpixel.recipes.stages import Stages

RECIPES: dict[str, Stages] = {
    "fcn32s": (fcn.FCN32S,),
    "fcn16s": (fcn.FCN32S, fcn.FCN16S),
    "fcn8s": (fcn.FCN32S, fcn.FCN16S, fcn.FCN8S),
    "fcn8s-at-once": (fcn.FCN8S_AT_ONCE,),
    "segnet": (segnet.SEGNET,),
    "segnet-basic": (segnet.SEGNET_BASIC,),
}
