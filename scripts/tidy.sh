#!/usr/bin/env bash
# Runs clang-tidy (checks in .clang-tidy) over the given C++ files, or over all of them, which takes
# many minutes: scripts/tidy.sh decorr/core/random.cpp
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/tidy

die() {
  echo "tidy: error: $*" >&2
  exit 1
}

scripts/install_deps.sh --build --test --lint

mkdir -p build
# clang cannot read a precompiled header that GCC made, nor GCC's flags for it.
cmake -G Ninja -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON \
  -DDECORR_UNITY_BUILD=OFF -DDECORR_BUILD_EXAMPLES=ON -DDECORR_BUILD_BENCHMARKS=ON >"$build.log" 2>&1 || {
  cat "$build.log" >&2
  die "configuring failed"
}

files=("$@")
if [ "${#files[@]}" -eq 0 ]; then
  mapfile -d '' files < <(find decorr apps tests benchmarks examples -name '*.cpp' -print0 | sort -z)
fi
for file in "${files[@]}"; do
  [ -f "$file" ] || die "there is no file $file"
done

# One process a file; xargs reports failure if any of them failed.
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P "$(nproc)" clang-tidy -p "$build" --quiet --warnings-as-errors='*' \
    --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument ||
  die "clang-tidy has complaints (above)"
echo "tidy: ${#files[@]} files are clean"
