#!/usr/bin/python3
"""Trains a network over a grid of decorrelation settings, from which the defaults are chosen.

Every damping λ with every decorrelation learning rate η and every seed, and the plain network
(method = none) beside them. A run that is finished is not done again, an unfinished one is resumed. Prints
a markdown table for each configuration: test accuracy in per cent after the first and the last epoch (mean
over the seeds, ± standard error if there are several) and the largest norm of R in any layer and epoch.
"""

import argparse
import math
import re
import sys
from collections import defaultdict
from pathlib import Path

from script_tools import BadUsage, markdown
from training_jobs import (Job, Parser, Run, check_alike, check_configs, exit_code_of, finished,
                           mean_and_error, numbers, reading, train)

DAMPINGS = [0.0, 0.03, 0.1, 0.3, 1.0, 3.0]
RATES = [3e-4, 1e-3, 2e-3, 4e-3]
RUN_NAME = re.compile(r"(?P<config>.+?)-(?:plain|lam(?P<damping>.+)-eta(?P<rate>.+))-(?P<seed>\d+)")
# What may differ between the runs of a table.
SWEPT = ("decorrelation.", "seed")


def job_of(arguments: argparse.Namespace, config: Path, seed: int,
           damping: float | None, rate: float | None) -> Job:
    if damping is None:
        middle, settings = "plain", ["decorrelation.method=none"]
    else:
        middle = f"lam{damping:g}-eta{rate:g}"
        settings = [f"decorrelation.damping={damping!r}", f"decorrelation.lr={rate!r}"]
    return Job(arguments, config, f"{config.stem}-{middle}-{seed}",
               [*settings, f"seed={seed}", *arguments.settings])


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """All trainings of the sweep: for each configuration and seed the plain one, then the grid."""
    pairs = [(None, None), *((damping, rate) for damping in arguments.damping
                             for rate in arguments.lr)]
    return [job_of(arguments, config, seed, damping, rate) for config in arguments.configs
            for seed in arguments.seeds for damping, rate in pairs]


class SweptRun(Run):
    """A finished run and its place in the grid."""

    def __init__(self, folder: Path, name: re.Match):
        super().__init__(folder)
        with reading(folder):
            layers = [layer for row in self.rows for layer in row.get("layers", [])]
            # The norm is null where it was not finite.
            self.norm = max((layer["matrix_norm"] for layer in layers
                             if layer.get("matrix_norm") is not None), default=math.nan)
        # None for the plain network, which comes first.
        self.point = (float(name["damping"]), float(name["rate"])) if name["damping"] else None


def finished_runs(out: Path, config: str) -> tuple[list[SweptRun], int]:
    """The finished runs of a configuration, and the number of those that are not finished."""
    runs, unfinished = [], 0
    for folder in sorted(out.glob("*")):
        name = RUN_NAME.fullmatch(folder.name)
        if name is None or name["config"] != config:
            continue
        if finished(folder):
            runs.append(SweptRun(folder, name))
        else:
            unfinished += 1
    check_alike(runs, SWEPT, config, out)
    return runs, unfinished


def accuracy(runs: list[SweptRun], epoch: int) -> str:
    if any(run.diverged for run in runs):
        return "diverged"
    values = [100 * run.accuracies[epoch] for run in runs if epoch in run.accuracies]
    return mean_and_error(values) if values else "-"


def table(runs: list[SweptRun]) -> str:
    groups: dict[tuple[float, float] | None, list[SweptRun]] = defaultdict(list)
    for run in runs:
        groups[run.point].append(run)
    epochs = sorted(set().union(*(run.accuracies for run in runs)))
    shown = list(dict.fromkeys([epochs[0], epochs[-1]])) if epochs else []
    rows = []
    for point in sorted(groups, key=lambda point: point or (-1.0, 0.0)):
        members = groups[point]
        norm = max((run.norm for run in members if not math.isnan(run.norm)), default=math.nan)
        cells = [*(f"{value:g}" for value in point)] if point else ["plain", "-"]
        cells += [accuracy(members, epoch) for epoch in shown]
        rows.append([*cells, "-" if math.isnan(norm) else f"{norm:.3g}", str(len(members))])
    return markdown(["λ", "η", *(f"epoch {epoch}" for epoch in shown), "largest ‖R‖", "seeds"], rows)


def report(out: Path, configs: list[Path]) -> None:
    if not out.is_dir():
        raise BadUsage(f"there is no folder of runs, {out}, train first or check --out")
    for config in configs:
        runs, unfinished = finished_runs(out, config.stem)
        print(f"### {config.stem}\n")
        print(table(runs) if runs else "No finished runs.")
        if unfinished:
            print(f"\n{unfinished} unfinished, not in the table.")
        print()


def parse() -> argparse.Namespace:
    parser = Parser(
        __doc__, "scripts/sweep_defaults.py configs/fashion_mnist_mlp.toml --out runs/sweep "
                 "--decorr build/release/bin/decorr --seeds 42,43,44 --set train.epochs=4",
        runs="CONFIG-lamλ-etaη-SEED and CONFIG-plain-SEED", at_once=1)
    parser.add_argument("configs", nargs="+", type=Path, metavar="CONFIG", help="configuration file")
    parser.add_argument("--damping", type=numbers(float, 0), default=DAMPINGS, metavar="λ,...",
                        help="dampings (default: %s)" % ",".join(f"{x:g}" for x in DAMPINGS))
    parser.add_argument("--lr", type=numbers(float, 0, above=True), default=RATES, metavar="η,...",
                        help="decorrelation learning rates (default: %s)" %
                             ",".join(f"{x:g}" for x in RATES))
    parser.add_argument("--seeds", type=numbers(int, 0), default=[42], metavar="SEED,...",
                        help="seeds (default: 42)")
    parser.add_argument("--table-only", action="store_true",
                        help="train nothing: print the tables of the runs that are there")
    arguments = parser.parse_args()
    stems = [config.stem for config in arguments.configs]
    if len(set(stems)) != len(stems):
        raise BadUsage(f"two configurations have the same name, {', '.join(stems)}, rename one")
    if not arguments.table_only:
        check_configs(arguments.configs)
    return arguments


def sweep() -> None:
    arguments = parse()
    if not arguments.table_only:
        train(jobs_of(arguments), arguments.jobs)
    report(arguments.out, arguments.configs)


if __name__ == "__main__":
    sys.exit(exit_code_of(sweep))
