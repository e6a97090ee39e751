"""Draw a run's validation curve over its minutes, as docs/reproduction.md shows it.

python docs/make_curve.py RUN docs/images/NAME.svg
"""

import csv
import sys
from pathlib import Path

from perpixel.reports.curves import SCORES, chart


def main() -> None:
    """Read the run's rows, and write the picture."""
    run, out = (Path(word) for word in sys.argv[1:])
    with (run / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    minutes = [float(row["seconds"]) / 60 for row in rows]
    scores = [(name, [float(row[key]) for row in rows], color) for key, name, color in SCORES]
    picture = chart("validation, over minutes", minutes, scores, top=1.0).replace(" iterations<", " minutes<")
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    head, rest = picture.split(">", 1)
    out.write_text(f'{head} xmlns="http://www.w3.org/2000/svg">{ground}{rest}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
