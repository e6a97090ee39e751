"""Training curves as one SVG picture: the loss and the validation scores over the run."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, MARGIN = 560, 220, 44
SCORES = (("mean_iou", "mean IoU", "#4267d2"), ("pixel_accuracy", "pixel accuracy", "#3a9d5d"))


def curves(rows: Sequence[Mapping[str, object]]) -> str:
    """Return two charts side by side, as HTML.

    Args:
        rows: The rows of `metrics.csv`, as numbers or as text.
    """
    steps = [_number(row.get("iteration")) or 0.0 for row in rows]
    scores = [(name, [_number(row.get(key)) for row in rows], color) for key, name, color in SCORES]
    losses = [_number(row.get("train_loss")) for row in rows]
    charts = (chart("validation", steps, scores, top=1.0), chart("training loss", steps, [("loss", losses, "#c2543d")]))
    return f'<div style="display:flex;flex-wrap:wrap;gap:1rem">{"".join(charts)}</div>'


def chart(
    title: str,
    steps: Sequence[float],
    lines: Sequence[tuple[str, Sequence[float | None], str]],
    top: float | None = None,
) -> str:
    """Return one line chart from zero to `top`, or to the largest value, as SVG."""
    values = [value for _, line, _ in lines for value in line if value is not None]
    top = top or max(values, default=1.0) or 1.0
    right = max(steps, default=1.0) or 1.0
    body = [_grid(top, right)]
    for index, (name, line, color) in enumerate(lines):
        points = [_place(x, y, right, top) for x, y in zip(steps, line, strict=True) if y is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}"/>' for x, y in points]
        end = WIDTH - 12 - 110 * (len(lines) - 1 - index)  # from the right: titles are of any length
        body.append(f'<text x="{end}" y="14" text-anchor="end" fill="{color}">{escape(name)}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="{escape(title)}" '
        'style="max-width:100%;font:12px system-ui,sans-serif">'
        f'<text x="{MARGIN}" y="14" font-weight="600">{escape(title)}</text>{"".join(body)}</svg>'
    )


def _place(x: float, y: float, right: float, top: float) -> tuple[float, float]:
    across = MARGIN + (WIDTH - MARGIN - 12) * x / right
    down = HEIGHT - 26 - (HEIGHT - 52) * min(y, top) / top
    return across, down


def _grid(top: float, right: float) -> str:
    lines = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = _place(0, share * top, right, top)
        lines.append(f'<line x1="{x}" x2="{WIDTH - 12}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e4ea"/>')
        lines.append(f'<text x="{x - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#6b6f7b">{share * top:.3g}</text>')
    last = f'<text x="{WIDTH - 12}" y="{HEIGHT - 8}" text-anchor="end" fill="#6b6f7b">{right:,.0f} iterations</text>'
    return "".join(lines) + last


def _number(value: object) -> float | None:
    """Read a number that may be text; what is empty or no number is left out of the picture."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if number == number else None
