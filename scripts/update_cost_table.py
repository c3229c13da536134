#!/usr/bin/python3
"""Shows what it costs and brings to update the decorrelation matrices less often and from fewer rows.

Trains the plain network (method = none), and the decorrelated one for each pair of k, the steps between
updates (update_every), and s, the rows that an update samples (max_samples = s with sample_fraction = 1, so
that they are min(N, s) of N). With --scale-lr the decorrelation learning rate η is multiplied by k. A --set of
a decorrelation key is not for the plain network. A run that is finished is not done again, an unfinished
one is resumed.
Prints a markdown table: the training seconds of an epoch relative to the plain network (ratio of the medians
over all epochs and seeds; epochs in which a run was resumed are not timed as a whole and don't count), the
relative off-diagonal energy of the decorrelated input after the last epoch (mean over the layers) and the
test accuracy in per cent after the first and the last epoch, both as mean over the seeds ± standard error.
The times mean nothing unless the trainings run one at a time (--jobs 1) on a machine that is idle otherwise.
"""

import argparse
import math
import sys
from pathlib import Path
from statistics import fmean, median

from script_tools import BadUsage, markdown, whole
from training_jobs import (Job, Parser, Run, check_alike, check_configs, exit_code_of, mean_and_error,
                           numbers, reading, train)

UPDATE_EVERY = [1, 2, 4, 8]
SAMPLES = [13, 26, 52]
# η of the program's presets.
PRESET_RATES = {"default": 2e-3, "published": 1e-5}
# What the table sets for each run, beside decorrelation.method.
VARIED = ("decorrelation.update_every", "decorrelation.max_samples", "decorrelation.sample_fraction",
          "decorrelation.lr", "seed")


class CostRun(Run):
    """A finished run: how long its epochs took, and what came out."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        with reading(folder):
            self.seconds = [float(row["train_seconds"]) for row in self.rows
                            if "resumed_at_step" not in row]
            # Off-diagonal energy, test accuracy after the first and the last epoch.
            self.figures = () if self.diverged else (
                fmean(map(energy, self.rows[-1]["layers"])),
                *(100 * float(self.rows[epoch]["test_acc"]) for epoch in (0, -1)))


def energy(layer: dict) -> float:
    """Null where it was not finite, and not there if there are too few images to measure it."""
    return math.nan if layer.get("energy") is None else float(layer["energy"])


class Case:
    """A row of the table: the plain network (`pair` is None) or a pair (k, s), with every seed."""

    def __init__(self, arguments: argparse.Namespace, pair: tuple[int, int] | None):
        self.runs: list[CostRun] = []
        if pair is None:
            self.heads, middle = ["plain", "-", "-"], "plain"
            # The program refuses settings of a decorrelation that there is not.
            settings = [setting for setting in arguments.settings
                        if not setting.lstrip().startswith("decorrelation.")]
            settings.append("decorrelation.method=none")
        else:
            k, s = pair
            # Rounded, as 3 · 0.1 is not 0.3.
            eta = float(f"{arguments.lr * (k if arguments.scale_lr else 1):.12g}")
            self.heads, middle = [f"{k}", f"{s}", f"{eta:g}"], f"k{k}-s{s}-eta{eta:g}"
            settings = [*arguments.settings, f"decorrelation.update_every={k}",
                        f"decorrelation.max_samples={s}", "decorrelation.sample_fraction=1.0",
                        f"decorrelation.lr={eta!r}"]
        config = arguments.config
        self.jobs = {seed: Job(arguments, config, f"{config.stem}-{middle}-{seed}",
                               [*settings, f"seed={seed}"]) for seed in arguments.seeds}

    def read(self) -> list[CostRun]:
        self.runs = [CostRun(job.folder) for job in self.jobs.values()]
        return self.runs

    def seconds(self) -> float:
        """Median time of an epoch; NaN if none was timed."""
        times = [time for run in self.runs for time in run.seconds]
        return median(times) if times else math.nan

    def figures(self) -> list[str]:
        """Off-diagonal energy, accuracy after the first and the last epoch, over the seeds."""
        if any(run.diverged for run in self.runs):
            return ["diverged"] * 3
        return ["-" if any(map(math.isnan, values)) else mean_and_error(values)
                for values in map(list, zip(*(run.figures for run in self.runs), strict=True))]


def table(cases: list[Case], plain: float) -> str:
    ratios = [case.seconds() / plain for case in cases]
    rows = [[*case.heads, "-" if math.isnan(ratio) else f"{ratio:.2f}", *case.figures()]
            for case, ratio in zip(cases, ratios, strict=True)]
    return markdown(["update_every", "rows sampled", "η", "epoch time / plain", "off-diagonal energy",
                     "accuracy, first epoch", "accuracy, last epoch"], rows)


def pairs(text: str) -> list[tuple[int, int]]:
    """[(k, s), ...] of k:s,..."""
    items = [item.split(":") for item in text.split(",")]
    if any(len(item) != 2 for item in items):
        raise argparse.ArgumentTypeError(f"must be k:s,k:s,..., got '{text}'")
    return list(dict.fromkeys((whole(1)(k), whole(1)(s)) for k, s in items))


def rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number above 0, got '{text}'")
    return value


def configured_rate(arguments: argparse.Namespace) -> float:
    """η of the configuration, or of the preset that it names."""
    asked = Job(arguments, arguments.config, "", arguments.settings).asked()
    value = asked.get("decorrelation.lr")
    if value is None:
        value = PRESET_RATES.get(str(asked.get("decorrelation.preset", "default")))
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise BadUsage(f"cannot tell the decorrelation learning rate, {arguments.config}, give it with --lr")
    return float(value)


def parse() -> argparse.Namespace:
    parser = Parser(
        __doc__, "scripts/update_cost_table.py configs/cifar10_mlp.toml --out runs/cost "
                 "--decorr build/release/bin/decorr --seeds 42,43,44 --scale-lr --threads 2",
        runs="CONFIG-kK-sS-etaη-SEED and CONFIG-plain-SEED", at_once=1)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="configuration file")
    parser.add_argument("--update-every", type=numbers(int, 1), metavar="k,...",
                        help=f"steps between updates (default: {','.join(map(str, UPDATE_EVERY))})")
    parser.add_argument("--samples", type=numbers(int, 1), metavar="s,...",
                        help=f"rows that an update samples (default: {','.join(map(str, SAMPLES))})")
    parser.add_argument("--pairs", type=pairs, metavar="k:s,...",
                        help="these pairs in place of every k with every s")
    parser.add_argument("--seeds", type=numbers(int, 0), default=[42], metavar="SEED,...",
                        help="seeds (default: 42)")
    parser.add_argument("--lr", type=rate, metavar="η",
                        help="decorrelation learning rate (default: that of the configuration)")
    parser.add_argument("--scale-lr", action="store_true", help="multiply η by k")
    arguments = parser.parse_args()
    check_configs([arguments.config])
    fixed = [setting for setting in arguments.settings if setting.partition("=")[0].strip() in VARIED]
    if fixed:
        raise BadUsage(f"the table itself varies this, --set {fixed[0]}, "
                       "use --update-every, --samples, --pairs, --lr or --seeds")
    if arguments.pairs is None:
        arguments.pairs = [(k, s) for k in arguments.update_every or UPDATE_EVERY
                           for s in arguments.samples or SAMPLES]
    elif arguments.update_every or arguments.samples:
        raise BadUsage("--pairs names every pair itself, command line, "
                       "drop it or --update-every and --samples")
    if arguments.lr is None:
        arguments.lr = configured_rate(arguments)
    return arguments


def compare() -> None:
    arguments = parse()
    cases = [Case(arguments, pair) for pair in (None, *arguments.pairs)]
    # Seed by seed, so that what changes on the machine over the hours does so for all rows; the plain
    # network last, so that the program refuses wrong decorrelation settings at once.
    train([case.jobs[seed] for seed in arguments.seeds for case in reversed(cases)], arguments.jobs)
    check_alike([run for case in cases for run in case.read()], (*VARIED, "decorrelation.method"),
                arguments.config.stem, arguments.out)
    plain = cases[0].seconds()
    print(f"### {arguments.config.stem}\n")
    timed = "was not timed" if math.isnan(plain) else f"takes {plain:.3g} s"
    print(f"An epoch of the plain network {timed}; threads: {arguments.threads}; "
          f"seeds: {', '.join(map(str, arguments.seeds))}.\n")
    print(table(cases, plain))


if __name__ == "__main__":
    sys.exit(exit_code_of(compare))
