#!/usr/bin/python3
"""Compares an epoch of decorrelated training from end to end (data, steps, metrics) with the public code of
CRGD's authors on this machine: their dense network on CIFAR-10, with crops and mirroring.

Takes a checkout of https://github.com/nasiryahm/CorrelationsRuinGD. Their epoch is their loader's (four worker
processes), their training loop and their metrics of the test set; the pass through the training set that their
metrics make as well is listed by itself. Ours is that of `decorr train`. Needs Debian's python3-torch and
python3-torchvision.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from turns import (ROOT, BadUsage, Failure, LineParser, cell, cifar10_folder, divided, exit_code_of,
                   idle_load, markdown, torch_program, whole)

CONFIG = ROOT / "configs/paper/dense_cifar10.toml"
OURS = {"decorr, plain": ["decorrelation.method=none"],
        "decorr, preset published": ["decorrelation.preset=published"],
        "decorr, default": [],
        "decorr, default, R in bf16": ["decorrelation.precision=bf16"],
        "decorr, default, bf16": ["train.precision=bf16"]}


def our_epoch(arguments: argparse.Namespace, settings: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [str(arguments.program), "train", str(CONFIG), "--quiet", "--out", str(run)]
        for setting in ["train.epochs=1", "train.keep=1", f"train.threads={arguments.threads}",
                        f"data.root={arguments.data}", *settings]:
            command += ["--set", setting]
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                    check=False)
        except OSError as error:
            raise BadUsage(f"cannot start the program ({error.strerror}), {arguments.program}, "
                           "check that it is built for this machine") from None
        if result.returncode != 0:
            raise Failure(result.stderr.strip().replace("decorr: error: ", "") or "decorr train failed")
        row = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    return row["train_seconds"] + row["eval_seconds"]


def their_epoch(arguments: argparse.Namespace, decor_lr: float) -> tuple[float, float]:
    """Seconds of data, steps and test metrics, and of the metrics of the training set."""
    program = torch_program("authors_epoch.py", str(arguments.checkout), threads=arguments.threads,
                            root=arguments.data, decor_lr=decor_lr)
    row = program.run()["epochs"][0]
    return row["train_seconds"] + row["test_metrics_seconds"], row["train_metrics_seconds"]


def measure(arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of an epoch of each program in each round; every other round goes through them backwards."""
    names = ["authors, decorrelated", "authors, decorrelated, with metrics of the training set",
             "authors, plain", *OURS]
    seconds: dict[str, list[float]] = {name: [] for name in names}

    def authors_decorrelated():
        epoch, metrics = their_epoch(arguments, 1e-5)
        seconds[names[0]].append(epoch)
        seconds[names[1]].append(epoch + metrics)

    def authors_plain():
        seconds[names[2]].append(their_epoch(arguments, 0)[0])

    def ours(name: str):
        seconds[name].append(our_epoch(arguments, OURS[name]))

    turns = [authors_decorrelated, authors_plain, *(partial(ours, name) for name in OURS)]
    for turn in range(arguments.rounds):
        print(f"[{turn + 1}/{arguments.rounds}] an epoch of each program", file=sys.stderr, flush=True)
        for take in turns[::1 if turn % 2 == 0 else -1]:
            take()
    return seconds


def main() -> None:
    parser = LineParser(description=__doc__, epilog="example: benchmarks/compare_epoch.py CorrelationsRuinGD",
                        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT", help="checkout of the authors' repository")
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/bin/decorr",
                        metavar="PROGRAM", help="decorr (default: build/release/bin/decorr)")
    parser.add_argument("--data", type=Path, default=cifar10_folder(), metavar="DIR",
                        help="binary files of CIFAR-10 (default: $DECORR_DATA/cifar10 or "
                             "~/.cache/decorr/cifar10)")
    parser.add_argument("--rounds", type=whole(1), default=3, metavar="N",
                        help="epochs of each program (default: 3)")
    parser.add_argument("--threads", type=whole(1), default=2, metavar="N", help="threads (default: 2)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    if not arguments.program.is_file():
        raise BadUsage(f"there is no such program, {arguments.program}, build decorr or give --program")
    load = idle_load()
    seconds = measure(arguments)
    if arguments.json:
        print(json.dumps({"threads": arguments.threads, "load_average": load,
                          "seconds": seconds}, ensure_ascii=False))
        return
    base = seconds["authors, decorrelated"]
    print(f"{arguments.threads} threads, {arguments.rounds} rounds of an epoch of each program; "
          "median (lowest–highest) over the rounds.\n")
    print(markdown(["", "seconds an epoch", "ratio to authors, decorrelated"],
                   [[name, cell(rounds, 1), cell(divided(rounds, base), 3)]
                    for name, rounds in seconds.items()]))


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
