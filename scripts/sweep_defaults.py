#!/usr/bin/python3
"""Trains a network over a grid of decorrelation settings, from which the defaults are chosen.

Every damping λ with every decorrelation learning rate η and every seed, and the plain network
(method = none) beside them. A run that is finished is not done again, an unfinished one is resumed. Prints
a markdown table for each configuration: test accuracy in per cent after the first and the last epoch (mean
over the seeds, ± standard error if there are several) and the largest norm of R in any layer and epoch.
"""

import argparse
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

DAMPINGS = [0.0, 0.03, 0.1, 0.3, 1.0, 3.0]
RATES = [3e-4, 1e-3, 2e-3, 4e-3]
RUN_NAME = re.compile(r"(?P<config>.+?)-(?:plain|lam(?P<damping>.+)-eta(?P<rate>.+))-(?P<seed>\d+)")
# What may differ between the runs of a table.
SWEPT = ("decorrelation.", "seed")
EXIT_DIVERGED = 3


class BadUsage(Exception):
    """The command or what it names is wrong: exit code 2."""


class Failure(Exception):
    """Something failed while running: exit code 1."""


class Job:
    """A training to be done: its name and the arguments of `decorr train`."""

    def __init__(self, arguments: argparse.Namespace, config: Path, seed: int,
                 damping: float | None, rate: float | None):
        if damping is None:
            middle, settings = "plain", ["decorrelation.method=none"]
        else:
            middle = f"lam{damping:g}-eta{rate:g}"
            settings = [f"decorrelation.damping={damping!r}", f"decorrelation.lr={rate!r}"]
        settings += [f"seed={seed}", f"train.threads={arguments.threads}", *arguments.settings]
        self.name = f"{config.stem}-{middle}-{seed}"
        self.folder = arguments.out / self.name
        self.command = [arguments.decorr, "train", str(config), "--quiet", "--resume",
                        "--out", str(self.folder)]
        for setting in settings:
            self.command += ["--set", setting]

    @property
    def finished(self) -> bool:
        return (self.folder / "summary.json").is_file()


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """All trainings of the sweep: for each configuration and seed the plain one, then the grid."""
    pairs = [(None, None), *((damping, rate) for damping in arguments.damping
                             for rate in arguments.lr)]
    return [Job(arguments, config, seed, damping, rate) for config in arguments.configs
            for seed in arguments.seeds for damping, rate in pairs]


def stop(processes: list[subprocess.Popen]) -> None:
    """Asks the trainings to write a checkpoint and end, and waits for them."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def start(job: Job) -> subprocess.Popen:
    try:
        return subprocess.Popen(job.command, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise BadUsage(f"cannot start the program ({error.strerror}), {job.command[0]}, "
                       "build it or give it with --decorr") from None


def train(jobs: list[Job], at_once: int) -> None:
    """Does the jobs that are not finished; each line on stderr is one that has ended."""
    waiting = [job for job in jobs if not job.finished]
    total, done = len(waiting), 0
    running: list[tuple[subprocess.Popen, Job, float]] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                running.append((start(job), job, time.monotonic()))
            time.sleep(0.05)
            for entry in [entry for entry in running if entry[0].poll() is not None]:
                running.remove(entry)
                process, job, begin = entry
                if process.returncode not in (0, EXIT_DIVERGED):
                    raise Failure(f"a training failed with exit code {process.returncode}, "
                                  f"{job.folder}, mend what the line above says and start again")
                done += 1
                print(f"[{done}/{total}] {job.name}: {time.monotonic() - begin:.0f} s",
                      file=sys.stderr, flush=True)
    finally:
        stop([process for process, _, _ in running])


class Run:
    """What a finished run left."""

    def __init__(self, folder: Path, name: re.Match):
        try:
            lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            rows = [json.loads(line) for line in lines]
            self.accuracies = {row["epoch"]: row["test_acc"] for row in rows}
            norms = [layer["matrix_norm"] for row in rows for layer in row.get("layers", [])
                     if "matrix_norm" in layer]
            self.diverged = json.loads((folder / "summary.json").read_text())["status"] == "diverged"
            settings = flat(tomllib.loads((folder / "config.toml").read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadUsage(f"cannot read the run ({type(error).__name__}: {error}), {folder}, "
                           "delete it and train again") from None
        self.norm = max(norms, default=math.nan)
        self.settings = {key: value for key, value in settings.items() if not key.startswith(SWEPT)}
        # None for the plain network, which comes first.
        self.point = (float(name["damping"]), float(name["rate"])) if name["damping"] else None


def flat(document: dict) -> dict[str, object]:
    """{"optimizer.lr": 0.001, ...}"""
    settings = {}
    for key, value in document.items():
        items = value.items() if isinstance(value, dict) else [("", value)]
        settings.update({f"{key}.{leaf}".rstrip("."): item for leaf, item in items})
    return settings


def finished_runs(out: Path, config: str) -> tuple[list[Run], int]:
    """The finished runs of a configuration, and the number of those that are not finished."""
    runs, unfinished = [], 0
    for folder in sorted(out.glob("*")):
        name = RUN_NAME.fullmatch(folder.name)
        if name is None or name["config"] != config:
            continue
        if (folder / "summary.json").is_file():
            runs.append(Run(folder, name))
        else:
            unfinished += 1
    for run in runs:
        keys = sorted({key for key in run.settings.keys() | runs[0].settings.keys()
                       if run.settings.get(key) != runs[0].settings.get(key)})
        if keys:
            raise BadUsage(f"the runs of {config} also differ in {', '.join(keys)}, {out}, "
                           "delete those of another sweep or give another --out")
    return runs, unfinished


def accuracy(runs: list[Run], epoch: int) -> str:
    if any(run.diverged for run in runs):
        return "diverged"
    values = [100 * run.accuracies[epoch] for run in runs if epoch in run.accuracies]
    if not values:
        return "-"
    error = f" ± {stdev(values) / math.sqrt(len(values)):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{error}"


def table(runs: list[Run]) -> list[str]:
    groups: dict[tuple[float, float] | None, list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.point].append(run)
    epochs = sorted(set().union(*(run.accuracies for run in runs)))
    shown = list(dict.fromkeys([epochs[0], epochs[-1]])) if epochs else []
    heads = ["λ", "η", *(f"epoch {epoch}" for epoch in shown), "largest ‖R‖", "seeds"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for point in sorted(groups, key=lambda point: point or (-1.0, 0.0)):
        members = groups[point]
        norm = max((run.norm for run in members if not math.isnan(run.norm)), default=math.nan)
        cells = [*(f"{value:g}" for value in point)] if point else ["plain", "-"]
        cells += [accuracy(members, epoch) for epoch in shown]
        cells += ["-" if math.isnan(norm) else f"{norm:.3g}", str(len(members))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def report(out: Path, configs: list[Path]) -> None:
    if not out.is_dir():
        raise BadUsage(f"there is no folder of runs, {out}, train first or check --out")
    for config in configs:
        runs, unfinished = finished_runs(out, config.stem)
        print(f"### {config.stem}\n")
        print("\n".join(table(runs)) if runs else "No finished runs.")
        if unfinished:
            print(f"\n{unfinished} unfinished, not in the table.")
        print()


def numbers(kind, least, above: bool = False):
    """A reader of comma-separated numbers of at least (or above) `least`."""
    def read(text: str) -> list:
        try:
            values = [kind(item) for item in text.split(",")]
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be numbers with commas, got '{text}'") from None
        if not all(math.isfinite(value) and (value > least or value == least and not above)
                   for value in values):
            bound = f"above {least}" if above else f"at least {least}"
            raise argparse.ArgumentTypeError(f"must be finite and {bound}, got '{text}'")
        return list(dict.fromkeys(values))
    return read


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got '{text}'")
    return int(text)


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise BadUsage(f"{message}, command line, see --help")


def parse() -> argparse.Namespace:
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: scripts/sweep_defaults.py configs/fashion_mnist_mlp.toml --out runs/sweep "
               "--decorr build/release/bin/decorr --seeds 42,43,44 --set train.epochs=4")
    parser.add_argument("configs", nargs="+", type=Path, metavar="CONFIG", help="configuration file")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="folder of the runs, CONFIG-lamλ-etaη-SEED and CONFIG-plain-SEED")
    parser.add_argument("--damping", type=numbers(float, 0), default=DAMPINGS, metavar="λ,...",
                        help="dampings (default: %s)" % ",".join(f"{x:g}" for x in DAMPINGS))
    parser.add_argument("--lr", type=numbers(float, 0, above=True), default=RATES, metavar="η,...",
                        help="decorrelation learning rates (default: %s)" %
                             ",".join(f"{x:g}" for x in RATES))
    parser.add_argument("--seeds", type=numbers(int, 0), default=[42], metavar="SEED,...",
                        help="seeds (default: 42)")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE",
                        help="another setting of all runs, as in decorr train (repeatable)")
    parser.add_argument("--decorr", default="decorr", metavar="PROGRAM", help="the decorr program")
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="trainings at once")
    parser.add_argument("--threads", type=count, default=1, metavar="N", help="threads of each")
    parser.add_argument("--table-only", action="store_true",
                        help="train nothing: print the tables of the runs that are there")
    arguments = parser.parse_args()
    stems = [config.stem for config in arguments.configs]
    if len(set(stems)) != len(stems):
        raise BadUsage(f"two configurations have the same name, {', '.join(stems)}, rename one")
    missing = [str(config) for config in arguments.configs if not config.is_file()]
    if missing and not arguments.table_only:
        raise BadUsage(f"there is no such configuration, {', '.join(missing)}, check the path")
    return arguments


def interrupt(*_):
    raise KeyboardInterrupt


def main() -> int:
    signal.signal(signal.SIGTERM, interrupt)
    try:
        arguments = parse()
        if not arguments.table_only:
            train(jobs_of(arguments), arguments.jobs)
        report(arguments.out, arguments.configs)
    except BadUsage as error:
        print(f"sweep_defaults: error: {error}", file=sys.stderr)
        return 2
    except Failure as error:
        print(f"sweep_defaults: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sweep_defaults: error: interrupted, the runs that have begun have checkpoints, "
              "start again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
