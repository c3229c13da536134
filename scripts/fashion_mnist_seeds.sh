#!/usr/bin/env bash
# Trains the Fashion-MNIST network plain and decorrelated with three seeds each and prints the mean test
# accuracy with its standard error, epoch by epoch. Needs the program: scripts/quickstart.sh builds it.
# Usage: scripts/fashion_mnist_seeds.sh [OUT]   (default: a new folder in the system's temporary folder)
set -euo pipefail
cd "$(dirname "$0")/.."
decorr=${DECORR_PROGRAM:-build/quickstart/bin/decorr}
[ -x "$decorr" ] || {
  echo "fashion_mnist_seeds: error: no program, $decorr, run scripts/quickstart.sh or set DECORR_PROGRAM" >&2
  exit 2
}
out=${1:-$(mktemp -d)}
for seed in 42 43 44; do
  "$decorr" train configs/fashion_mnist_mlp.toml --quiet --resume --out "$out/plain-$seed" \
    --set seed="$seed" --set decorrelation.method=none
  "$decorr" train configs/fashion_mnist_mlp.toml --quiet --resume --out "$out/standardized-$seed" \
    --set seed="$seed" --set decorrelation.method=standardize
  "$decorr" train configs/fashion_mnist_mlp.toml --quiet --resume --out "$out/decorrelated-$seed" \
    --set seed="$seed"
done
/usr/bin/python3 scripts/seed_table.py "$out"
