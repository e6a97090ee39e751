"""Can every network learn two real images by heart? Narrow, on a CPU, in about a minute each.

    python benchmarks/overfit.py CAMVID [--networks segnet fcn8s ...] [--iterations 900] [--json FILE]

Two CamVid images are shrunk to 36 x 48 pixels, and labels with them; the network sees them enlarged, so that its
finest scores are as dense as the labels, or nearly. An FCN-32s scores every 32nd pixel, and two neighbouring things
between them it cannot tell apart at any training: for such networks they are shrunk to 24 x 32. Scores are of the
evaluation mode, against the shrunk labels.
Dropout is off, classes are balanced, and the optimiser is Adam: the question is what the network can hold and learn.
FCN's margin of 100 pixels, which is mostly zeros here, is left out. Late fusion's second image, HHA, is made of the
first: its slopes down and right, and how steep they are.
"""

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from perpixel.metrics.confusion import Confusion
from perpixel.metrics.scores import Scores
from perpixel.models.catalog import MODELS, build
from perpixel.ops.resize import logits_at_scale
from perpixel.recipes.segnet import CAMVID_CLASSES
from perpixel.training.objective import Objective
from perpixel.training.recipe import Recipe

SIZE = (36, 48)
COARSE_SIZE = (24, 32)
# Score every 32nd pixel, or every 16th, and nothing finer; or are trained on every eighth label
COARSE = {
    "fcn32s": 12, "fcn32s-late-fusion": 12, "fcn32s-alexnet": 12, "fcn32s-googlenet": 12, "bilinear-interpolation": 12,
    "deeplab-v1-largefov": 8, "deeplab-v1-msc-largefov": 8, "deeplab-v1-7x7": 8, "deeplab-v1-4x4": 8,
    "deeplab-v2-vgg16-aspp-s": 8, "deeplab-v2-vgg16-aspp-l": 8, "deeplab-v2-resnet101": 8,
}  # fmt: skip
# How much larger the network sees the images: about the stride of its finest scores; 2 where it scores every pixel.
ENLARGED = COARSE | {
    "fcn16s": 6,
    "fcn8s": 3,
    "fcn8s-at-once": 3,
    "fcn8s-two-headed": 3,
    "fcn8s-any-encoder": 3,
    "deconvnet": 7,
}
EIGHTH = 8  # of the labels DeepLab is trained on
GOAL = 0.9
WIDTH = 0.25
CHECK_EVERY = 10  # iterations
RATE = 2e-3
RATES = {"deconvnet": 8e-3}
BY_LABEL = ("decouplednet", "transfernet")  # trained label by label, in phases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("camvid", type=Path)
    parser.add_argument("--networks", nargs="*", default=[name for name in MODELS if name not in BY_LABEL])
    parser.add_argument("--width", type=float, default=WIDTH)
    parser.add_argument("--iterations", type=int, default=900)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    images = {size: two_images(arguments.camvid, size) for size in (SIZE, COARSE_SIZE)}
    rows = []
    print(f"{'network':<38}{'mean IoU':>9}{'iterations':>12}{'seconds':>9}  seen at")
    for name in arguments.networks:
        pixels, target = images[COARSE_SIZE if name in COARSE else SIZE]
        pixels = with_slopes(pixels) if MODELS[name].in_channels == 6 else pixels
        row = overfit(name, pixels, target, arguments.width, arguments.iterations)
        rows.append(row)
        verdict = "" if row["mean_iou"] > GOAL else "  below 0.9"
        print(
            f"{name:<38}{row['mean_iou']:>9.3f}{row['iterations']:>12}{row['seconds']:>9.0f}  "
            f"{row['seen_at'][0]} x {row['seen_at'][1]}{verdict}",
            flush=True,
        )
        if arguments.json:
            arguments.json.write_text(json.dumps(rows, indent=2) + "\n")
    sys.exit(any(row["mean_iou"] <= GOAL for row in rows))


def two_images(root: Path, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return two images (2, 3, H, W), about in [-2, 2], and their labels (2, H, W), 255 where there is none."""
    names = [path.stem for path in sorted((root / "images" / "train").iterdir())[::150][:2]]
    height, width = size
    pixels, targets = [], []
    for name in names:
        with Image.open(root / "images" / "train" / f"{name}.jpg") as image:
            pixels.append(np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float32))
        with Image.open(root / "masks" / "train" / f"{name}.png") as mask:
            targets.append(np.asarray(mask.resize((width, height), Image.Resampling.NEAREST), np.int64))
    image = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    target = torch.from_numpy(np.stack(targets))
    return (image - 110) / 60, target.masked_fill(target == len(CAMVID_CLASSES), 255)


def with_slopes(image: Tensor) -> Tensor:
    """Return images of six channels: the colours, and how grey levels change down, right and at all."""
    grey = image.mean(1, keepdim=True)
    down, right = torch.gradient(grey, dim=(2, 3))
    slopes = torch.cat([down, right, torch.hypot(down, right)], 1)
    return torch.cat([image, slopes / slopes.std()], 1)


def overfit(name: str, image: Tensor, target: Tensor, width: float, iterations: int) -> dict:
    """Train until the goal or the last iteration is reached; return the best score and when it was."""
    torch.manual_seed(0)
    scale = ENLARGED.get(name, 2)
    margin = {"padding": 1} if name.startswith("fcn") and "padding" in options_of(name) else {}
    network = build(name, num_classes=len(CAMVID_CLASSES), width=width, **margin)
    quieten(network)
    if getattr(network, "margin", 1) == 2:
        network = AsTested(network)
    recipe = Recipe(model=name, loss_normalization="weight", label_groups=(2, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1))
    objective = Objective(network, recipe, balance(target)).train()
    seen, labels, answer = view(network, image, target, scale)
    optimizer = torch.optim.Adam(
        [{"params": [each], "rate": rate} for each, rate in rates(network, RATES.get(name, RATE))]
    )
    began, best, iteration = time.monotonic(), 0.0, 0
    while best <= GOAL and iteration < iterations:
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * min(1.0, (iteration + 1) / 20) * (1 - 0.9 * iteration / iterations)
        optimizer.zero_grad()
        objective(seen, labels).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        iteration += 1
        if iteration % CHECK_EVERY == 0:
            best = max(best, mean_iou(network, answer, target))
    return {
        "network": name, "mean_iou": best, "iterations": iteration, "seconds": round(time.monotonic() - began, 1),
        "seen_at": list(seen.shape[-2:]), "width": width,
    }  # fmt: skip


def rates(network: nn.Module, rate: float) -> Iterator[tuple[Tensor, float]]:
    """Yield parameters and their rates; Adam's steps know nothing of FCN-8s-at-once's tiny factors, so these do."""
    factors = dict(network.named_buffers())
    for name, parameter in network.named_parameters():
        factor = factors.get(name.replace("score_", "").replace(".weight", "_scale"))
        yield parameter, rate if factor is None else rate / float(factor)


def options_of(name: str) -> set[str]:
    return set(inspect.signature(MODELS[name].network).parameters)


def balance(target: Tensor) -> Tensor:
    """Return √(1 / share) of each class: the score counts a pole of fifty pixels as much as the road."""
    counts = torch.bincount(target[target != 255], minlength=len(CAMVID_CLASSES)).float()
    return (counts.sum() / counts.clamp(min=1)).sqrt()


def quieten(network: nn.Module) -> None:
    """Turn dropout off: it is there so that nothing is learned by heart. Let batch statistics follow at once."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.3


class AsTested(nn.Module):
    """DeepLab's 7 x 7 and 4 x 4 pad a pooling only in testing, as released: on maps this small that is another network.

    They are trained as they are tested.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image)


def view(
    network: nn.Module, image: Tensor, target: Tensor, scale: int
) -> tuple[Tensor, Tensor, Callable[[nn.Module], Tensor]]:
    """Return the enlarged image and labels, and what gives the logits of each label.

    DeepLab's scores lie on every eighth pixel, corners on corners, and so then do the labels.
    """
    if scale != EIGHTH or not hasattr(network, "training_logits"):
        seen = nn.functional.interpolate(image, scale_factor=scale, mode="bilinear")
        labels = target.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        return seen, labels, lambda network: logits_at_scale(network, image, float(scale))
    margin = getattr(network, "margin", 1)
    size = [EIGHTH * (length - 1) + margin for length in target.shape[1:]]
    seen = nn.functional.interpolate(image, size, mode="bilinear", align_corners=True)
    rows, columns = ((torch.arange(length) + EIGHTH // 2) // EIGHTH for length in size)
    labels = target[:, rows][:, :, columns]
    return seen, labels, lambda network: network(seen)[..., ::EIGHTH, ::EIGHTH]


@torch.no_grad()
def mean_iou(network: nn.Module, answer: Callable[[nn.Module], Tensor], target: Tensor) -> float:
    """Return the score of both images together, as the network is used: in evaluation mode."""
    network.eval()
    confusion = Confusion(len(CAMVID_CLASSES))
    confusion.add(target.to(torch.uint8), answer(network).argmax(1).to(torch.uint8))
    network.train()
    return Scores.from_confusion(confusion).mean_iou or 0.0


if __name__ == "__main__":
    main()
