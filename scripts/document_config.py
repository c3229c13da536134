#!/usr/bin/python3
"""Writes docs/configuration.md from what `decorr train --help-config` says."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"

HEAD = """\
# Configuration

A run is described by a TOML file. Keys that are not given have the defaults below; `--set
section.key=value` overrides one for a single run. A key that is unknown, or has no effect with the
chosen type, method or schedule, is an error. `config.toml` in the run directory has every key that was
in effect.

This page is written by `scripts/document_config.py` from `decorr train --help-config`.
"""

PER_LAYER = """
Settings for some layers go into elements of `[[decorrelation.layers]]`; later elements win:

```toml
[[decorrelation.layers]]
pattern = "layers.0"
method = "standardize"
```
"""


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def page(listing: str) -> str:
    """The listing has `[table]` headings, `  key = default` lines, and under each what it means."""
    parts = [HEAD]
    table_open = False
    lines = listing.splitlines()
    for index, line in enumerate(lines):
        if line.startswith("["):
            name = line.strip("[]")
            brackets = "[[" if line.startswith("[[") else "["
            parts.append(f"\n## `{brackets}{name}{brackets.replace('[', ']')}`\n")
            if brackets == "[[":
                parts.append(PER_LAYER)
            table_open = False
        elif entry := re.fullmatch(r"  (\S.*)", line):
            key, _, default = entry[1].partition(" = ")
            meaning = lines[index + 1].strip() if index + 1 < len(lines) else ""
            if not table_open:
                parts.append("\n| key | default | meaning |\n|---|---|---|\n")
                table_open = True
            shown = f"`{default}`" if default and not default.startswith("(") else default.strip("()")
            name = f"`{key}`" if default else key
            parts.append(f"| {name} | {cell(shown)} | {cell(meaning)} |\n")
    return "".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decorr", default="decorr", metavar="PROGRAM", help="the decorr program")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is outdated")
    arguments = parser.parse_args()
    try:
        listing = subprocess.run([arguments.decorr, "train", "--help-config"], check=True, text=True,
                                 capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"document_config: error: cannot run {arguments.decorr} ({error}), "
              "give the program with --decorr", file=sys.stderr)
        return 1
    text = page(listing)
    if not arguments.check:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text:
        print(f"document_config: error: {TARGET} is outdated, "
              f"run scripts/document_config.py --decorr {arguments.decorr}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
