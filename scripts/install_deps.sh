#!/usr/bin/env bash
# Installs the Debian packages that decorr needs. Does nothing for those that are there already.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: scripts/install_deps.sh [--build] [--runtime] [--test] [--lint] [--list]

  --build    compiler, CMake, LibTorch and the other libraries
  --runtime  the Fashion-MNIST data set, Python and matplotlib for plots
  --test     what scripts/test.sh needs on top of --build
  --lint     clang-tidy, for scripts/tidy.sh
  --list     print the packages of the groups instead of installing them

Without a group: --build --runtime. Needs root or sudo if a package is missing.
example: scripts/install_deps.sh --build --test
USAGE
}

die() {
  echo "install_deps: error: $*" >&2
  exit 1
}

build=(g++ cmake ninja-build ccache libtorch-dev libgloo-dev libdnnl-dev libopenblas0-openmp
       libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev zlib1g-dev libcurl4-openssl-dev
       ca-certificates libarchive-dev libpng-dev libssl-dev libturbojpeg0-dev python3-plotly)
runtime=(dataset-fashion-mnist python3-minimal python3-matplotlib)
test=(libgtest-dev libgmock-dev libbenchmark-dev dataset-fashion-mnist python3-minimal python3-pytest
      python3-matplotlib python3-numpy python3-pil clang-format chromium chromium-driver
      python3-selenium)
lint=(clang-tidy)

packages=()
list=false
for argument in "$@"; do
  case "$argument" in
    --build) packages+=("${build[@]}") ;;
    --runtime) packages+=("${runtime[@]}") ;;
    --test) packages+=("${test[@]}") ;;
    --lint) packages+=("${lint[@]}") ;;
    --list) list=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; echo >&2; die "unknown argument $argument" ;;
  esac
done
[ "${#packages[@]}" -gt 0 ] || packages=("${build[@]}" "${runtime[@]}")
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)

if "$list"; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
  die "this is not a Debian system; install the equivalents of these packages: ${packages[*]}"

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status} ' "$package" 2>/dev/null || true)
  case " $status" in
    *" installed "*) ;;
    *) missing+=("$package") ;;
  esac
done
[ "${#missing[@]}" -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null ||
    die "these packages are missing: ${missing[*]}; install them as root (there is no sudo here)"
  as_root=(sudo)
fi
apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q "$@"; }

echo "installing: ${missing[*]}"
apt_get update || die "apt-get update failed; check the network and the package sources"
apt_get install -y --no-install-recommends "${missing[@]}" ||
  die "apt-get could not install: ${missing[*]}; the lines above say why (Debian 12 has them all)"
