"""Every paper's recipe: sourced, consistent, and it trains its network."""

import inspect
from fnmatch import fnmatchcase
from itertools import pairwise

import numpy as np
import pytest
import torch

from perpixel.data.normalization import Normalization
from perpixel.data.transforms import Augmentation
from perpixel.models.catalog import MODELS, build
from perpixel.recipes.fcn_scenes import SIFTFLOW_CLASSES
from perpixel.recipes.papers import RECIPES
from perpixel.training.optimizer import freeze, make_optimizer
from perpixel.training.recipe import SGD, Bootstrapped, Recipe, Step
from perpixel.training.tasks import TASKS

NARROW = 1 / 16
STAGES = {f"{name}-{number}": stage for name, stages in RECIPES.items() for number, stage in enumerate(stages, start=1)}
# One of each pair of recipes that train the same network in the same way: data sets and rates differ.
TRAINED = {
    (stage.model, str(stage.options), stage.task, stage.loss.name, stage.trainable): key
    for key, stage in STAGES.items()
}.values()


def small_network(stage: Recipe) -> torch.nn.Module:
    """Build a narrow form; FCN's without the margin that the release computes around the image."""
    torch.manual_seed(0)
    quick = {"padding": 1} if "padding" in inspect.signature(MODELS[stage.model].network).parameters else {}
    options = {**stage.options, **(quick if stage.model.startswith("fcn") else {})}
    return build(stage.model, num_classes=4, width=NARROW, **options)


@pytest.mark.parametrize("key", STAGES)
def test_every_stage_names_its_source_and_what_differs(key: str) -> None:
    stage = STAGES[key]
    assert stage.sources.get("*")
    assert stage.differs
    assert stage.preset == "paper"
    fields = {name.partition(".")[0] for name in stage.sources} - {"*"}
    assert fields <= Recipe.model_fields.keys()


@pytest.mark.parametrize("name", RECIPES)
def test_the_last_stage_says_what_to_expect_and_each_begins_from_the_one_before(name: str) -> None:
    stages = RECIPES[name]
    assert stages[-1].expected
    assert all("expected" in stage.sources for stage in stages if stage.expected)
    scores = [stage.expected for stage in stages if stage.expected]
    assert all(one != other for one, other in pairwise(scores))  # a stage that was copied must not keep its scores
    for before, stage in pairwise(stages):
        assert stage.initial_weights == before.model


@pytest.mark.parametrize("key", STAGES)
def test_what_falls_in_steps_falls_before_the_end(key: str) -> None:
    stage = STAGES[key]
    for schedule in (stage.schedule, stage.auxiliary_schedule):
        if isinstance(schedule, Step):
            assert stage.budget.iterations is not None
            assert schedule.every < stage.budget.iterations


@pytest.mark.parametrize("key", TRAINED)
def test_every_stage_trains_two_iterations(key: str) -> None:
    """Loss and weights stay finite, something learns, and every pattern of names fits a parameter."""
    stage = STAGES[key]
    network = small_network(stage)
    freeze(network, stage.trainable)
    recipe = stage.replace(label_groups=(0, 1, 2, 0))
    task = TASKS[stage.task]
    objective, optimizer = task.objective(network, recipe), make_optimizer(network, stage.optimizer)
    channels = MODELS[stage.model].in_channels
    image, target = torch.randn(2, channels, 25, 17), torch.randint(objective.ways() or 4, (2, 25, 17))
    labels = torch.eye(3)[:2]
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    for _ in range(2):
        loss = objective(image, target, labels)
        assert bool(torch.isfinite(loss))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    assert moved
    assert all(bool(torch.isfinite(value).all()) for value in network.parameters())
    if stage.trainable != "all":
        assert moved <= {name for name, value in network.named_parameters() if value.requires_grad} < before.keys()


@pytest.mark.parametrize("key", [key for key, stage in STAGES.items() if stage.optimizer.layer_rates])
def test_layers_with_a_rate_of_their_own_exist(key: str) -> None:
    stage = STAGES[key]
    names = [name for name, _ in small_network(stage).named_parameters()]
    for pattern in stage.optimizer.layer_rates:
        assert any(fnmatchcase(name, pattern) for name in names), pattern


# ---- numbers against their files ---------------------------------------------------------------------------


def test_fcn_alexnet_accumulates_twenty_and_normalises() -> None:
    """voc-fcn-alexnet/solver.prototxt: base_lr 1e-4, momentum 0.9, iter_size 20, 100,000 iterations."""
    (recipe,) = RECIPES["fcn32s-alexnet"]
    assert isinstance(recipe.optimizer, SGD)
    assert (recipe.optimizer.learning_rate, recipe.optimizer.momentum, recipe.accumulate) == (1e-4, 0.9, 20)
    assert (recipe.loss_normalization, recipe.budget.iterations) == ("valid", 100_000)


def test_nyud_subtracts_the_means_of_its_layers() -> None:
    """nyud_layers.py: colour is reversed to BGR, HHA is not, and depth is a logarithm of mean 7.844."""
    wanted = {
        "fcn32s-nyud-color": [116.190, 97.203, 92.318],
        "fcn32s-nyud-hha": [132.431, 94.076, 118.477],
        "fcn32s-nyud-color-depth": [7.844, 116.190, 97.203, 92.318],  # the net's depth is last; here all is reversed
    }
    for name, means in wanted.items():
        normalization = RECIPES[name][0].normalization
        assert isinstance(normalization, Normalization)
        given = normalization.apply(np.zeros((1, 1, len(means)))).flatten()
        assert given.tolist() == pytest.approx([-mean for mean in means], rel=1e-6)
    hha = RECIPES["fcn32s-nyud-hha"][0].normalization
    assert isinstance(hha, Normalization)
    assert hha.apply(np.array([[[200.0, 0.0, 0.0]]])).flatten()[0] == pytest.approx(200 - 132.431, rel=1e-5)


def test_late_fusion_sees_what_its_halves_saw() -> None:
    """nyud-fcn32s-color-hha/{net.py,solver.prototxt,solve.py}: 1e-12, from the nets of colour and of HHA."""
    (recipe,), (color,), (hha,) = (RECIPES[f"fcn32s-nyud-{name}"] for name in ("color-hha", "color", "hha"))
    given = [stage.normalization for stage in (recipe, color, hha)]
    both, first, second = (each for each in given if isinstance(each, Normalization))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 6))
    seen = both.apply(pixels)
    assert np.array_equal(seen[:, :3], first.apply(pixels[..., :3])[:, ::-1])  # a run's first layer is turned round
    assert np.array_equal(seen[:, 3:], second.apply(pixels[..., 3:]))
    assert recipe.optimizer.learning_rate == 1e-12
    assert recipe.initial_weights == {"color": "fcn32s-nyud-color", "hha": "fcn32s-nyud-hha"}
    assert set(recipe.initial_weights.values()) <= RECIPES.keys()


def test_siftflow_counts_geometry_as_its_labels_do() -> None:
    """data/sift-flow/classes.txt: 1 sky, 2 horizontal, 3 vertical, which siftflow_layers.py lowers by one."""
    groups = dict(zip(SIFTFLOW_CLASSES, RECIPES["fcn8s-siftflow"][-1].label_groups, strict=True))
    assert len(groups) == 33
    assert (groups["sky"], groups["road"], groups["building"]) == (0, 1, 2)


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("fcn8s-siftflow", [1e-10, 1e-12, 1e-12]),
        ("fcn8s-pascal-context", [1e-10, 1e-12, 1e-14]),
        ("fcn32s-nyud-color", [1e-10]),
        ("fcn32s-nyud-color-hha", [1e-12]),
    ],
)
def test_scenes_are_learned_for_300_000_iterations_a_stage(name: str, rates: list[float]) -> None:
    """siftflow-fcn*/, pascalcontext-fcn*/ and nyud-fcn32s-*/solver.prototxt: base_lr, max_iter, momentum 0.99."""
    stages = RECIPES[name]
    assert [stage.optimizer.learning_rate for stage in stages] == rates
    assert all(isinstance(stage.optimizer, SGD) and stage.optimizer.momentum == 0.99 for stage in stages)
    assert {stage.budget.iterations for stage in stages} == {300_000}


def test_deconvnet_has_two_stages_of_twenty_and_forty_thousand() -> None:
    """training/00{1,2}*/solver.prototxt: base_lr 0.01, stepsize 9000 and 10000, iter_size 8, batches of 8."""
    one, two = RECIPES["deconvnet"]
    assert (one.budget.iterations, two.budget.iterations) == (20_000, 40_000)
    assert (one.schedule, two.schedule) == (Step(every=9_000), Step(every=10_000))
    assert {stage.batch_size * stage.accumulate for stage in (one, two)} == {64}
    assert one.windows is not None
    assert two.windows is not None
    assert (one.windows.kind, two.windows.kind, one.windows.side, one.crop_size) == (
        "object",
        "proposal",
        250,
        (224, 224),
    )


@pytest.mark.parametrize(
    ("name", "scale", "shift"),
    [
        ("segnet", 1, 0),
        ("bayesian-segnet", 1, 0),
        ("segnet-basic", 1, 1),
        ("bayesian-segnet-basic", 1, 1),
        ("deconvnet", 1, 1),
    ],
)
def test_normalisations_decay_as_their_files_say(name: str, scale: float, shift: float) -> None:
    """decay_mult 1 and 0 in the full SegNets; no param blocks, which is 1 and 1, in both Basics and DeconvNet."""
    for stage in RECIPES[name]:
        optimizer = stage.optimizer
        assert isinstance(optimizer, SGD)
        assert (optimizer.norm_decay, optimizer.norm_shift_decay) == (scale, shift)
        assert (optimizer.bias_rate, optimizer.bias_decay) == (2, 0)
        assert not any("decay" in line for line in stage.differs)


def test_suns_weights_took_their_median_over_all_38_labels() -> None:
    """train_segnet_sun.prototxt: of an even count the median is a mean, of the 19th and 20th frequency here."""
    (recipe,) = RECIPES["segnet-sun"]
    assert isinstance(recipe.class_weights, tuple)
    assert len(recipe.class_weights) == 37
    frequencies = sorted(1 / weight for weight in (0.351185, *recipe.class_weights))
    assert sum(frequencies[18:20]) / 2 == pytest.approx(1, abs=1e-6)


def test_frrn_falls_to_a_tenth_once() -> None:
    """Adam, batch 3, 1e-3: train_frrn_a.py after 45,000 updates; train.py of November 2016, FRRN B, after 60,000."""
    for name, every in (("frrn-a", 45_000), ("frrn-b", 60_000)):
        (recipe,) = RECIPES[name]
        assert (recipe.batch_size, recipe.optimizer.learning_rate, recipe.optimizer.weight_decay) == (3, 1e-3, 0)
        assert recipe.schedule == Step(every=every)
        assert every < (recipe.budget.iterations or 0) <= 2 * every


def test_frrn_sees_its_images_shifted_and_brighter_or_darker() -> None:
    """train.py of November 2016 and train_frrn_a.py of March 2017: 40 and 30 pixels; gamma_range of 0.05."""
    for name, shift in (("frrn-a", 30), ("frrn-b", 40)):
        (recipe,) = RECIPES[name]
        assert recipe.augmentation == Augmentation(flip=0, shift=shift, gamma=0.05)


def test_deeplabs_last_layer_is_ten_times_as_fast() -> None:
    """LargeFOV: batch 30, crop 321, 1e-3, a tenth every 2,000 of 6,000; v2: batch 10, 20,000, poly."""
    (one,), (two,) = RECIPES["deeplab-v1-largefov"], RECIPES["deeplab-v2-vgg16-aspp-l"]
    assert (one.batch_size, one.crop_size, one.schedule) == (30, (321, 321), Step(every=2_000))
    assert one.optimizer.layer_rates == {"*fc8*": 10.0}
    assert (two.batch_size, two.budget.iterations, two.schedule.name) == (10, 20_000, "poly")


def test_msc_trains_its_new_heads_alone() -> None:
    """config/DeepLab-MSc-LargeFOV/train.prototxt: rate 0 from conv1_1 to fc8; new layers at 1, their biases at 2."""
    recipe = RECIPES["deeplab-v1-msc-largefov"][1]
    assert recipe.trainable == ("msc.*",)
    network = small_network(recipe)
    freeze(network, recipe.trainable)
    assert {group["rate"] for group in make_optimizer(network, recipe.optimizer).param_groups} == {1.0, 2.0}


@pytest.mark.parametrize(("name", "pixels", "scale"), [("frrn-a", 8192, 0.25), ("frrn-b", 32768, 0.5)])
def test_frrn_keeps_a_sixteenth_of_the_pixels(name: str, pixels: int, scale: float) -> None:
    """train_frrn_{a,b}.py, March 2017: K = 512·16 of 256 x 512 and 512·64 of 512 x 1024."""
    (recipe,) = RECIPES[name]
    assert recipe.loss == Bootstrapped(pixels=pixels)
    assert pixels * 16 == 1024 * scale * 2048 * scale
