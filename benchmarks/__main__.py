"""Run every benchmark with its defaults: `python -m benchmarks`. Each one also runs alone, with options."""

import subprocess
import sys
from pathlib import Path

for script in sorted(Path(__file__).parent.glob("[!_]*.py")):
    print(f"\n{script.stem}", flush=True)
    subprocess.run([sys.executable, str(script)], check=True)
