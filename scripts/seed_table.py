#!/usr/bin/python3
"""Prints test accuracy by epoch, mean and standard error over seeds, of runs named <name>-<seed>."""

import json
import math
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev


def read(folder: Path) -> dict[str, dict[int, list[float]]]:
    """{name: {epoch: [accuracy of each seed]}} of the runs in a folder."""
    groups: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for metrics in sorted(folder.glob("*-*/metrics.jsonl")):
        name = metrics.parent.name.rpartition("-")[0]
        for line in metrics.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            groups[name][row["epoch"]].append(row["test_acc"])
    return groups


def cell(values: list[float]) -> str:
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{100 * mean(values):.2f} ± {100 * error:.2f}"


def main() -> int:
    if len(sys.argv) != 2:
        print("seed_table: error: give one folder of runs named <name>-<seed>", file=sys.stderr)
        return 2
    groups = read(Path(sys.argv[1]))
    if not groups:
        print(f"seed_table: error: no runs with metrics, {sys.argv[1]}, train some", file=sys.stderr)
        return 2
    names = sorted(groups)
    print("| epoch | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for epoch in sorted(set().union(*groups.values())):
        print(f"| {epoch} | " + " | ".join(cell(groups[name][epoch]) if groups[name][epoch] else "-"
                                          for name in names) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
