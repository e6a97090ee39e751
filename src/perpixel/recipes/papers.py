"""The papers' recipes by name: a literal table, each a tuple of stages."""

from perpixel.recipes import deconvnet, decouplednet, deeplab, fcn, fcn_scenes, frrn, segnet, transfernet, unet
from perpixel.recipes.deep_contextual import DEEP_CONTEXTUAL
from perpixel.recipes.stages import Stages

RECIPES: dict[str, Stages] = {
    "fcn32s": (fcn.FCN32S,),
    "fcn16s": (fcn.FCN32S, fcn.FCN16S),
    "fcn8s": (fcn.FCN32S, fcn.FCN16S, fcn.FCN8S),
    "fcn8s-at-once": (fcn.FCN8S_AT_ONCE,),
    "fcn32s-fixed": (fcn.FCN32S_FIXED,),
    "fcn8s-cvpr": (fcn.FCN32S_CVPR, fcn.FCN16S_CVPR, fcn.FCN8S_CVPR),
    "fcn32s-alexnet": (fcn.FCN_ALEXNET,),
    "fcn32s-googlenet": (fcn.FCN_GOOGLENET,),
    "fcn8s-pascal-context": (fcn_scenes.CONTEXT_FCN32S, fcn_scenes.CONTEXT_FCN16S, fcn_scenes.CONTEXT_FCN8S),
    "fcn32s-nyud-color": (fcn_scenes.NYUD_COLOR,),
    "fcn32s-nyud-hha": (fcn_scenes.NYUD_HHA,),
    "fcn32s-nyud-color-depth": (fcn_scenes.NYUD_COLOR_DEPTH,),
    "fcn8s-siftflow": (fcn_scenes.SIFTFLOW_FCN32S, fcn_scenes.SIFTFLOW_FCN16S, fcn_scenes.SIFTFLOW_FCN8S),
    "segnet": (segnet.SEGNET,),
    "segnet-basic": (segnet.SEGNET_BASIC,),
    "segnet-sun": (segnet.SEGNET_SUN,),
    "bayesian-segnet": (segnet.BAYESIAN_SEGNET,),
    "bayesian-segnet-basic": (segnet.BAYESIAN_SEGNET_BASIC,),
    **{recipe.model: (recipe,) for recipe in segnet.DECODER_STUDY},
    "deconvnet": (deconvnet.STAGE_1, deconvnet.STAGE_2),
    "decouplednet": decouplednet.FULL,
    "decouplednet-25": decouplednet.MASKS_25,
    "decouplednet-10": decouplednet.MASKS_10,
    "decouplednet-5": decouplednet.MASKS_5,
    "deeplab-v1-largefov": (deeplab.LARGEFOV,),
    "deeplab-v1-msc-largefov": (deeplab.LARGEFOV, deeplab.MSC_LARGEFOV),
    "deeplab-v1-7x7": (deeplab.SEVEN,),
    "deeplab-v1-4x4": (deeplab.FOUR,),
    "deeplab-v2-vgg16-aspp-s": (deeplab.ASPP_S,),
    "deeplab-v2-vgg16-aspp-l": (deeplab.ASPP_L,),
    "deeplab-v2-resnet101": (deeplab.RESNET101,),
    "transfernet": transfernet.STAGES,
    "unet": (unet.UNET,),
    "frrn-a": (frrn.FRRN_A,),
    "frrn-b": (frrn.FRRN_B,),
    "deep-contextual": (DEEP_CONTEXTUAL,),
}
