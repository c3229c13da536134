#!/usr/bin/env bash
# Installs what is needed, builds decorr, trains the same network on Fashion-MNIST with plain and with
# decorrelated backpropagation, and compares the two in a table and a plot. Arguments go to both
# trainings: scripts/quickstart.sh --set train.epochs=10
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/quickstart
decorr=$build/bin/decorr

step() { printf '\n== %s\n' "$*"; }
die() {
  echo "quickstart: error: $*" >&2
  exit 1
}

folder=
trap 'echo >&2; echo "quickstart: interrupted${folder:+; what was trained is in $folder}" >&2; exit 130' INT TERM

step "installing what is missing"
scripts/install_deps.sh --build --runtime

step "building (some minutes the first time)"
cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DDECORR_BUILD_TESTS=OFF \
  -DDECORR_BUILD_EXAMPLES=OFF -DDECORR_BUILD_BENCHMARKS=OFF
cmake --build "$build" --parallel "$(nproc)"

# A folder of its own each time: what an earlier quickstart trained stays.
mkdir -p runs
folder=runs/quickstart
number=1
until mkdir "$folder" 2>/dev/null; do
  [ -e "$folder" ] || die "cannot create $folder; check that $PWD/runs is writable"
  number=$((number + 1))
  folder=runs/quickstart-$number
done

train() {
  local name=$1
  shift
  step "training: $name"
  local status=0
  "$decorr" train configs/fashion_mnist_mlp.toml --set train.epochs=5 --out "$folder/$name" "$@" ||
    status=$?
  [ "$status" -eq 0 ] || [ "$status" -eq 130 ] || echo "quickstart: training \"$name\" failed" >&2
  [ "$status" -eq 0 ] || exit "$status"
}
train plain --set decorrelation.method=none "$@"
train decorrelated "$@"

step "comparison"
/usr/bin/python3 scripts/compare_runs.py "$folder/plain" "$folder/decorrelated" \
  --output "$folder/comparison.png"
"$decorr" report "$folder" -o "$folder/report.html" --title "Fashion-MNIST, plain and decorrelated"
