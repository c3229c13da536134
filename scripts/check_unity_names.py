#!/usr/bin/env python3
"""Checks that what a file of the library, or of the program, has in an anonymous namespace shares its name with nothing
else in the namespace around it: neither in another file's anonymous namespace nor in a header that it does not include.

Files are compiled in groups (DECORR_UNITY_BUILD). There, two functions of one name that take different arguments
become overloads of each other, and a call may quietly go to the wrong one. Reads the layout that clang-format gives:
definitions begin at the first column, an anonymous namespace ends with `}  // namespace`.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("decorr", "apps/decorr")

OPENED = re.compile(r"namespace ([\w:]+) \{")
TYPE = re.compile(r"(?:struct|class|enum class|enum|union) (\w+)\b[^;(]*\{")
FUNCTION = re.compile(r"[^=({]*?\b(\w+)\(")
VARIABLE = re.compile(r"[\w:<>,&*\s]+?[ &*](\w+)(?:\[\w*\])*(?: =|\{|;)")


def names_of(text: str, anonymous: bool) -> set[str]:
    """Names that `text`, a file's, gives at the first column in anonymous namespaces, or outside of them, with the
    namespace around them."""
    found, namespaces, inside = set(), [], not anonymous
    for line in text.splitlines():
        if line == "namespace {":
            inside = anonymous
        elif line == "}  // namespace":
            inside = not anonymous
        elif match := OPENED.match(line):
            namespaces.append(match[1])
        elif line.startswith("}  // namespace "):
            namespaces.pop()
        elif inside and (line[:1].isalpha() or line.startswith("[[")):
            # An alias may be given twice, if it is of the same.
            if line.startswith(("template", "using ", "namespace ", "static_assert", "public:", "private:")):
                continue
            match = TYPE.match(line) or FUNCTION.match(line) or VARIABLE.match(line)
            if match:
                name = next(group for group in match.groups() if group)
                found.add("::".join([*namespaces, name]))
    return found


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    complaints = 0
    headers = defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.h")):
            for name in names_of(path.read_text(), anonymous=False):
                headers[name].append(str(path.relative_to(root)))
    for folder in FOLDERS:
        places = defaultdict(list)
        for path in sorted((root / folder).rglob("*.cpp")):
            text = path.read_text()
            for name in names_of(text, anonymous=True):
                places[name].append(str(path.relative_to(root)))
                places[name] += [header for header in headers[name] if f'"{header}"' not in text]
        for name, paths in sorted(places.items()):
            if len(paths) > 1:
                complaints += 1
                print(f"check_unity_names: error: {name} is the name of several things, in {', '.join(paths)}, "
                      "give each a name of its own or share one", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
