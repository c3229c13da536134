#!/usr/bin/env bash
# Checks the format, builds everything with warnings as errors, runs every test, and builds a project
# of its own against the installed library. Arguments go to ctest: scripts/test.sh -R Gemm
# Tests with the label nightly are left out unless a label is asked for: scripts/test.sh -L nightly
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
build=$root/build/test

scripts/install_deps.sh --build --test
scripts/format.sh --check

step() { printf '\n== %s\n' "$*"; }

step "configure"
cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DDECORR_WERROR=ON \
  -DDECORR_BUILD_APPS=ON -DDECORR_BUILD_TESTS=ON -DDECORR_BUILD_EXAMPLES=ON \
  -DDECORR_BUILD_BENCHMARKS=ON

step "build"
cmake --build "$build" --parallel "$(nproc)"

step "test"
labels=(-LE nightly)
for argument in "$@"; do
  case $argument in -L* | --label-*) labels=() ;; esac
done
ctest --test-dir "$build" --output-on-failure --no-tests=error -j2 "${labels[@]}" "$@"

step "consumer project against the installed library"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cmake --install "$build" --prefix "$scratch/prefix" >"$scratch/install.log" || {
  cat "$scratch/install.log" >&2
  echo "test: error: cmake --install failed" >&2
  exit 1
}
cmake -G Ninja -S examples/cmake_project -B "$scratch/build" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$scratch/prefix"
cmake --build "$scratch/build"
"$scratch/build/cmake_project"
"$scratch/prefix/bin/decorr" --version

step "all passed"
