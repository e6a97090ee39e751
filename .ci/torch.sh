#!/bin/sh
# Give a virtual environment PyTorch, unless it has one.
#
#   torch.sh PYTHON REQUIREMENT CPU_INDEX
#
# On Linux the package index's own wheel carries several gigabytes of CUDA libraries. Where no NVIDIA GPU is
# to be seen, PyTorch's CPU index is asked first; if it does not answer within five seconds, or does not have
# the version, pip's own indexes serve. PERPIXEL_GPU=1 or 0 overrules the detection.
set -eu
python=$1 requirement=$2 cpu_index=$3

has_torch() { "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)'; }
has_gpu() {
    case ${PERPIXEL_GPU:-} in 1) return 0 ;; 0) return 1 ;; esac
    [ -e /dev/nvidiactl ] || [ -e /dev/dxg ] || command -v nvidia-smi >/dev/null 2>&1
}
answers() { "$python" -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)' "$1" 2>/dev/null; }

if has_torch; then
    exit 0
fi
if [ "$(uname -s)" = Linux ] && ! has_gpu && answers "$cpu_index/torch/"; then
    echo "Installing $requirement for the CPU."
    if "$python" -m pip install -q --index-url "$cpu_index" "$requirement"; then
        exit 0
    fi
fi
echo "Installing $requirement."
"$python" -m pip install -q "$requirement"
