#!/usr/bin/env bash
# Formats every C++ file with clang-format. With --check changes nothing and fails, naming the files,
# if one is not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
  echo "format: error: $*" >&2
  exit 1
}

command -v clang-format >/dev/null ||
  die "clang-format is missing; run scripts/install_deps.sh --test"

# In a copy without git's data every file below the source folders counts.
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  mapfile -d '' listed < <(git ls-files -z -- '*.h' '*.cpp')
else
  mapfile -d '' listed < <(find decorr apps tests benchmarks examples \
                             \( -name '*.h' -o -name '*.cpp' \) -print0)
fi
files=()
for file in "${listed[@]}"; do
  [ -f "$file" ] && files+=("$file")
done
[ "${#files[@]}" -gt 0 ] || die "found no C++ files"

case "${1:-}" in
  "")
    clang-format -i "${files[@]}"
    echo "format: ${#files[@]} files are formatted"
    ;;
  --check)
    unformatted=()
    for file in "${files[@]}"; do
      clang-format --dry-run -Werror "$file" 2>/dev/null || unformatted+=("$file")
    done
    if [ "${#unformatted[@]}" -gt 0 ]; then
      printf 'format: not formatted: %s\n' "${unformatted[@]}" >&2
      die "${#unformatted[@]} of ${#files[@]} files are not formatted; run scripts/format.sh"
    fi
    echo "format: ${#files[@]} files checked"
    ;;
  *)
    die "unknown argument $1; usage: scripts/format.sh [--check]"
    ;;
esac
