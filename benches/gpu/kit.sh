#!/usr/bin/env bash
# On a machine with an NVIDIA GPU, CuPy and no network, from the root of the project with gpu-kit/ beside it:
#   benches/gpu/kit.sh checks DIR   install, then the tests that need a GPU and the checks of the benchmark
#   benches/gpu/kit.sh times DIR    own kernels first, then the rest; a line and a record after every row
#   benches/gpu/kit.sh torch DIR    what PyTorch gives there
# Results go to DIR. KIT_ARGS goes to the scripts (KIT_ARGS=--small: a rehearsal).
set -euo pipefail
step=${1:?checks, times or torch} out=${2:?folder for results}
python=${PYTHON:-python3}
mkdir -p "$out"
export PYTHONPATH="$PWD/gpu-kit/installed${PYTHONPATH:+:$PYTHONPATH}"
if [ ! -d gpu-kit/installed ]; then
    # CuPy brought NumPy, which pip would not see with --target: so without dependencies, all wheels by name.
    "$python" -m pip install -q --no-index --no-deps --target gpu-kit/installed gpu-kit/*.whl
fi
case $step in
checks)
    "$python" -m pytest -q -m gpu -p no:cacheprovider tests/cuda 2>&1 | tee "$out/pytest.txt"
    # shellcheck disable=SC2086
    "$python" benches/gpu/run.py --checks --out "$out/checks.json" ${KIT_ARGS:-} 2>&1 | tee "$out/checks.txt"
    ;;
times)
    # shellcheck disable=SC2086
    "$python" benches/gpu/run.py --times --out "$out/times.json" ${KIT_ARGS:-} 2>&1 | tee "$out/times.txt"
    ;;
torch)
    # shellcheck disable=SC2086
    "$python" benches/gpu/torch_rows.py --out "$out/torch.json" ${KIT_ARGS:-} 2>&1 | tee "$out/torch.txt"
    ;;
*)
    echo "unknown step $step; have checks, times, torch" >&2
    exit 2
    ;;
esac
