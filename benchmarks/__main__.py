"""Run every benchmark: `python -m benchmarks [DATA]`. Each one also runs alone, with options.

Training is measured on DATA, a data set with train and val, or on drawn street scenes.
"""

import subprocess
import sys
from pathlib import Path

for script in sorted(Path(__file__).parent.glob("[!_]*.py")):
    print(f"\n{script.stem}", flush=True)
    data = sys.argv[1:] if script.stem.startswith("train") else []
    subprocess.run([sys.executable, str(script), *data], check=True)
