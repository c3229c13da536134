#!/usr/bin/python3
"""Compares training runs of decorr: a table of the test accuracies and a plot of the curves."""

import argparse
import json
import math
import sys
import tomllib
from itertools import accumulate
from pathlib import Path

from script_tools import Failure, exit_code_of

# What may differ between runs without making the comparison unfair.
COMPARED = ("decorrelation.", "learning.", "seed")


class Run:
    """The rows of metrics.jsonl and the settings of config.toml in a run directory."""

    def __init__(self, folder: Path, name: str):
        self.name = name
        if not folder.is_dir():
            raise Failure(f"there is no run, {folder}, give the directory that decorr train wrote")
        self.rows = read_rows(folder / "metrics.jsonl")
        self.settings = read_settings(folder / "config.toml")

    def column(self, key: str) -> list[float]:
        """One number an epoch; NaN where a row has none."""
        return [row[key] if isinstance(row.get(key), (int, float)) else math.nan
                for row in self.rows]

    @property
    def accuracies(self) -> dict[int, float]:
        """Test accuracy by epoch."""
        return dict(zip((row["epoch"] for row in self.rows), self.column("test_acc")))


def read_rows(path: Path) -> list[dict]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise Failure(f"no metrics yet, {path}, wait for the first epoch to end") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"cannot read the metrics ({error}), {path}, check the file") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            raise Failure(f"not a row of JSON, {path}:{number}, delete or repair it") from None
        if not isinstance(row, dict) or not isinstance(row.get("epoch"), int):
            raise Failure(f"a row without an epoch, {path}:{number}, delete or repair it")
        rows.append(row)
    if not rows:
        raise Failure(f"no metrics yet, {path}, wait for the first epoch to end")
    return rows


def read_settings(path: Path) -> dict[str, object]:
    """The configuration, flat: {"optimizer.lr": 0.001, ...}."""
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Failure(f"cannot read the configuration ({error}), {path}, "
                      "give the directory that decorr train wrote") from None
    settings = {}
    for key, value in document.items():
        if isinstance(value, dict):
            settings.update({f"{key}.{leaf}": item for leaf, item in value.items()})
        else:
            settings[key] = value
    return settings


def names_of(folders: list[Path]) -> list[str]:
    """The folders' own names, or their whole paths where those would not tell them apart."""
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f} %"


def table(runs: list[Run]) -> str:
    epochs = sorted(set().union(*(run.accuracies for run in runs)))
    header = ["epoch"] + [f"{run.name}" for run in runs]
    body = [[str(epoch)] + [percent(run.accuracies.get(epoch, math.nan)) for run in runs]
            for epoch in epochs]
    widths = [max(len(row[i]) for row in [header] + body) for i in range(len(header))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths))
             for row in [header] + body]
    return "\n".join(["test accuracy", *lines[:1], "  ".join("-" * w for w in widths), *lines[1:]])


def differences(runs: list[Run]) -> list[str]:
    """Settings that differ although only what is compared should."""
    keys = sorted(set().union(*(run.settings for run in runs)))
    return [key for key in keys
            if not key.startswith(COMPARED) and len({repr(run.settings.get(key)) for run in runs}) > 1]


def verdict(runs: list[Run]) -> str:
    """Which run is best by the numbers, at the last epoch that all of them have."""
    common = set.intersection(*(set(run.accuracies) for run in runs))
    common = {epoch for epoch in common
              if not any(math.isnan(run.accuracies[epoch]) for run in runs)}
    if not common:
        return "the runs have no epoch with a test accuracy in common: no verdict"
    epoch = max(common)
    ranked = sorted(runs, key=lambda run: -run.accuracies[epoch])
    best, others = ranked[0], ranked[1:]
    if not others:
        return f"after epoch {epoch}: {percent(best.accuracies[epoch])}"
    lead = best.accuracies[epoch] - others[0].accuracies[epoch]
    if lead == 0:
        return (f"after epoch {epoch}, {best.name} and {others[0].name} are equally good: "
                f"{percent(best.accuracies[epoch])}")
    sentences = [f"after epoch {epoch}, {best.name} is better: {percent(best.accuracies[epoch])} "
                 f"against {percent(others[0].accuracies[epoch])} for {others[0].name} "
                 f"({100 * lead:+.2f} points, one seed each)"]
    for other in others:
        top = max(other.accuracies[e] for e in common)
        reached = [e for e in sorted(common) if best.accuracies[e] >= top]
        if reached:
            sentences.append(f"{best.name} reaches the best of {other.name} ({percent(top)}) "
                             f"in epoch {reached[0]}")
    return "; ".join(sentences)


def plot(runs: list[Run], path: Path) -> None:
    try:
        import matplotlib
    except ImportError:
        raise Failure("matplotlib is missing, needed for the plot, "
                      "run scripts/install_deps.sh --runtime or give --no-plot") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (by_epoch, by_time) = pyplot.subplots(1, 2, figsize=(11, 4.2), sharey=True)
    for run in runs:
        accuracies = [100 * value for value in run.column("test_acc")]
        by_epoch.plot(run.column("epoch"), accuracies, marker="o", label=run.name)
        seconds = list(accumulate(run.column("train_seconds")))
        by_time.plot(seconds, accuracies, marker="o", label=run.name)
    by_epoch.set(xlabel="epoch", ylabel="test accuracy (%)")
    by_epoch.xaxis.get_major_locator().set_params(integer=True)
    by_time.set(xlabel="seconds of training", xlim=(0, None))
    for axes in (by_epoch, by_time):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    try:
        figure.savefig(path, dpi=140, format="png")
    except OSError as error:
        raise Failure(f"cannot write the plot ({error}), {path}, "
                      "choose another place with --output") from None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: scripts/compare_runs.py runs/a runs/b --output ab.png")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument("--output", type=Path, metavar="FILE",
                        help="where the plot goes (default: comparison.png beside the first run)")
    parser.add_argument("--no-plot", action="store_true", help="print the table only")
    arguments = parser.parse_args()
    runs = [Run(folder, name) for folder, name in zip(arguments.runs, names_of(arguments.runs))]
    print(table(runs))
    print()
    for key in differences(runs):
        values = ", ".join(f"{run.name}: {run.settings.get(key, 'not set')}" for run in runs)
        print(f"note: the runs also differ in {key} ({values})")
    print(verdict(runs))
    if not arguments.no_plot:
        output = arguments.output or arguments.runs[0].resolve().parent / "comparison.png"
        plot(runs, output)
        print(f"plot: {output}")


if __name__ == "__main__":
    sys.exit(exit_code_of(main, interrupted="start again"))
