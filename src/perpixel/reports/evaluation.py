"""The page about one evaluation: a single HTML file that needs nothing but a browser.

    +---------------------------------------------+
    | mean IoU  pixel acc.  mean acc.  f.w. IoU   |   beside "always the commonest class"
    | class      IoU ▇▇▇▇▇▇▇    accuracy  pixels  |
    | near borders: scores within 1, 2, 4, 8 px   |
    | confusion: truth down, prediction across    |   each row in shares of its class
    | worst:  image | truth | prediction          |
    | best:   image | truth | prediction          |
    | what the scores mean                        |
    +---------------------------------------------+

Letters: K classes, H W pixels.
"""

import base64
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perpixel import __version__
from perpixel.data.palette import displayable, overlay
from perpixel.metrics import boundary
from perpixel.metrics.scores import DEFINITIONS
from perpixel.reports.curves import curves
from perpixel.runs.evaluate import Evaluation, Example
from perpixel.training.files import write_atomically

PAGE = "index.html"
PICTURE_WIDTH = 640
MOST_NUMBERED = 40  # classes; above, the confusion matrix is a picture without numbers
OPACITY = 0.6

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #26282f; background: #fff; margin: 0 auto; padding: 2rem;
       max-width: 75rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
.faint { color: #6b6f7b; } .warning { background: #fff4d6; border-left: 4px solid #e0a100; padding: .5rem .8rem; }
.scores { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.2rem 0; }
.score { border: 1px solid #e2e4ea; border-radius: 8px; padding: .7rem 1.1rem; min-width: 11rem; }
.score b { display: block; font-size: 1.7rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 600; text-align: left; } td, th { padding: .25rem .7rem .25rem 0; }
td.number { text-align: right; } .swatch { display: inline-block; width: .9em; height: .9em; border-radius: 3px;
       margin-right: .5em; vertical-align: -.08em; border: 1px solid #0003; }
.bar { background: #eef0f4; width: 16rem; height: .8em; border-radius: 3px; overflow: hidden; }
.bar i { display: block; height: 100%; background: #4267d2; }
.wide { overflow-x: auto; } .confusion td { text-align: right; padding: .2rem .35rem; font-size: 12px;
       min-width: 2.2rem; border: 1px solid #fff; } .confusion th { font-size: 12px; white-space: nowrap; }
.confusion thead th { writing-mode: vertical-rl; transform: rotate(180deg); padding: .2rem; }
.example { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; margin: .4rem 0 1.2rem; }
.example img { width: 100%; border-radius: 4px; } figure { margin: 0; } figcaption { font-size: 13px; }
.pixelated { image-rendering: pixelated; width: min(100%, 48rem); }
"""


def write_report(
    evaluation: Evaluation,
    folder: Path | str,
    title: str = "evaluation",
    metrics: Sequence[Mapping[str, object]] = (),
) -> Path:
    """Write the page into a folder, which is made where it is missing; return the page's path.

    Args:
        evaluation: What was measured.
        folder: Gets `index.html`.
        title: Stands at its head.
        metrics: The rows of the run's `metrics.csv`, drawn as curves.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = render(evaluation, title, metrics)

    def write(beside: Path) -> None:
        beside.write_text(text, encoding="utf-8")

    write_atomically(folder / PAGE, write)
    return folder / PAGE


def render(evaluation: Evaluation, title: str = "evaluation", metrics: Sequence[Mapping[str, object]] = ()) -> str:
    """Return the page's HTML; pictures are inside it."""
    heading = f"{title}: {evaluation.data}, {evaluation.split}"
    body = "\n".join(_sections(evaluation, heading, metrics))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(heading)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _sections(evaluation: Evaluation, heading: str, metrics: Sequence[Mapping[str, object]]) -> Iterator[str]:
    yield f"<h1>{escape(heading)}</h1>"
    how = escape(evaluation.options.words())
    yield f'<p class="faint">{evaluation.count} images; {how}; perpixel {__version__}</p>'
    yield from (f'<p class="warning">{escape(warning)}.</p>' for warning in evaluation.warnings)
    yield _scores(evaluation)
    yield "<h2>Classes</h2>" + _classes(evaluation)
    yield "<h2>Near borders</h2>" + _borders(evaluation)
    yield "<h2>Confusion</h2>" + _confusion(evaluation)
    if metrics:
        yield "<h2>Training</h2>" + curves(metrics)
    for name, examples in (("Worst images", evaluation.worst), ("Best images", evaluation.best)):
        if examples:
            yield f"<h2>{name}</h2>" + "".join(_example(example, evaluation) for example in examples)
    yield "<h2>What the scores mean</h2>" + _definitions()
    if evaluation.failed:
        lines = (f"<li>{escape(f.source)}: {escape(f.reason)}</li>" for f in evaluation.failed)
        yield "<h2>Not measured</h2><ul>" + "".join(lines) + "</ul>"


def _scores(evaluation: Evaluation) -> str:
    scores = evaluation.scores
    commonest = "" if scores.commonest_class is None else evaluation.classes[scores.commonest_class]
    beside = f"always {commonest}: {_percent(scores.baseline_mean_iou)}" if commonest else ""
    return '<div class="scores">' + "".join(
        f'<div class="score">{label}<b>{_percent(value)}</b><span class="faint">{escape(remark)}&nbsp;</span></div>'
        for label, value, remark in (
            ("mean IoU", scores.mean_iou, beside),
            ("pixel accuracy", scores.pixel_accuracy, _pixel_baseline(evaluation, commonest)),
            ("mean accuracy", scores.mean_accuracy, ""),
            ("frequency weighted IoU", scores.frequency_weighted_iou, ""),
            ("ignored pixels", scores.ignored_share, "in no score"),
        )
    ) + "</div>"  # fmt: skip


def _pixel_baseline(evaluation: Evaluation, commonest: str) -> str:
    pixels = evaluation.scores.pixels
    return f"always {commonest}: {_percent(max(pixels) / sum(pixels))}" if commonest else ""


def _classes(evaluation: Evaluation) -> str:
    scores = evaluation.scores
    rows = zip(evaluation.classes, evaluation.palette, scores.iou, scores.accuracy, scores.pixels, strict=True)
    lines = [
        f"<tr><td>{_swatch(color)}{escape(name)}</td><td class=number>{_percent(iou)}</td>"
        f'<td><div class="bar"><i style="width:{100 * (iou or 0):.1f}%"></i></div></td>'
        f"<td class=number>{_percent(accuracy)}</td><td class=number>{pixels:,}</td></tr>"
        for name, color, iou, accuracy, pixels in rows
    ]
    head = "<tr><th>class</th><th>IoU</th><th></th><th>accuracy</th><th>true pixels</th></tr>"
    return f"<table>{head}{''.join(lines)}</table>"


def _borders(evaluation: Evaluation) -> str:
    """Return a table of the trimap's scores, one row a width, and the boundary F below it."""
    near = evaluation.boundary
    lines = [
        f"<tr><td>{width} px to each side</td><td class=number>{_percent(scores.mean_iou)}</td>"
        f'<td><div class="bar"><i style="width:{100 * (scores.mean_iou or 0):.1f}%"></i></div></td>'
        f"<td class=number>{_percent(scores.pixel_accuracy)}</td><td class=number>{sum(scores.pixels):,}</td></tr>"
        for width, scores in near.scores().items()
    ]
    head = "<tr><th>band</th><th>mean IoU</th><th></th><th>pixel accuracy</th><th>pixels</th></tr>"
    remark = f"Boundary F {_percent(near.boundary_f)}, with {100 * near.tolerance:g} % of the diagonal allowed."
    return f'<table>{head}{"".join(lines)}</table><p class="faint">{remark}</p>'


def _confusion(evaluation: Evaluation) -> str:
    counts = evaluation.confusion.counts
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    remark = '<p class="faint">Truth down, prediction across; each row in percent of the class’s true pixels.</p>'
    if len(shares) > MOST_NUMBERED:
        picture = Image.fromarray(np.array([[_heat(v) for v in row] for row in shares.tolist()], np.uint8))
        return f'{remark}<img class="pixelated" alt="confusion matrix" src="{_embed(picture, "PNG")}">'
    head = "".join(f"<th>{escape(name)}</th>" for name in evaluation.classes)
    lines = (
        f"<tr><th>{escape(name)}</th>{''.join(map(_cell, row, number))}</tr>"
        for name, row, number in zip(evaluation.classes, shares.tolist(), counts.tolist(), strict=True)
    )
    table = f"<thead><tr><td></td>{head}</tr></thead>{''.join(lines)}"
    return f'{remark}<div class="wide"><table class="confusion">{table}</table></div>'


def _cell(share: float, count: int) -> str:
    red, green, blue = _heat(share)
    ink = "#fff" if share > 0.5 else "#26282f"
    text = f"{100 * share:.0f}" if share >= 0.005 else ""
    return f'<td style="background:rgb({red},{green},{blue});color:{ink}" title="{count:,} pixels">{text}</td>'


def _heat(share: float) -> tuple[int, int, int]:
    """Return white for 0, deep blue for 1."""
    return round(246 - 200 * share), round(248 - 168 * share), round(251 - 71 * share)


def _example(example: Example, evaluation: Evaluation) -> str:
    size = _shrunk(example.target.shape)
    pixels = np.asarray(Image.fromarray(displayable(example.pixels)).resize(size, Image.Resampling.LANCZOS))
    pictures = (
        ("image", Image.fromarray(pixels)),
        ("truth", _painted(pixels, example.target, evaluation)),
        ("prediction", _painted(pixels, example.prediction, evaluation)),
    )
    score = example.score
    caption = f"{score.name}: {_percent(score.pixel_accuracy)} of its labelled pixels are right"
    if score.ignored_share:
        caption += f", {_percent(score.ignored_share)} ignored"
    present = np.union1d(example.target, example.prediction)
    cells = "".join(
        f'<figure><img alt="{name}" src="{_embed(picture, "JPEG")}"><figcaption class="faint">{name}</figcaption>'
        "</figure>"
        for name, picture in pictures
    )
    return f"<div>{escape(caption)}<br>{_legend(present.tolist(), evaluation)}</div><div class=example>{cells}</div>"


def _legend(present: Iterable[int], evaluation: Evaluation) -> str:
    known = [index for index in present if index < len(evaluation.classes)]
    return " &nbsp; ".join(_swatch(evaluation.palette[i]) + escape(evaluation.classes[i]) for i in known)


def _painted(pixels: NDArray[Any], ids: NDArray[np.uint8], evaluation: Evaluation) -> Image.Image:
    size = pixels.shape[1], pixels.shape[0]
    small = np.asarray(Image.fromarray(ids).resize(size, Image.Resampling.NEAREST))
    return overlay(pixels, small, evaluation.palette, OPACITY)


def _shrunk(shape: Sequence[int]) -> tuple[int, int]:
    """Return (width, height) of at most PICTURE_WIDTH."""
    height, width = shape
    factor = min(1.0, PICTURE_WIDTH / width)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _embed(picture: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _definitions() -> str:
    rows = (
        f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(text)}</td></tr>"
        for name, text in (DEFINITIONS | boundary.DEFINITIONS).items()
    )
    return f"<table>{''.join(rows)}</table>"


def _swatch(color: tuple[int, int, int]) -> str:
    return f'<span class="swatch" style="background:rgb({color[0]},{color[1]},{color[2]})"></span>'


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f} %"
