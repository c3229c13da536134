"""What the comparisons of training steps share: taking turns, medians and spread, tables.

Each turn is a process of its own that times some steps and prints them as JSON. A round gives every program
one turn and a ratio is taken within a round, so that whatever else the machine does hits both sides of it.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import script_tools
from script_tools import BadUsage, Failure, LineParser, markdown, script_name, whole

NETWORKS = ("dense", "conv")
BATCH = {"dense": 256, "conv": 128}
# decorr's names of the networks.
MODEL = {"dense": "mlp", "conv": "convnet"}
LR = 1e-4
# One-minute load average above which the machine is called busy.
IDLE_LOAD = 0.5

exit_code_of = partial(script_tools.exit_code_of, interrupted="no results, start again")


@dataclass(frozen=True)
class Program:
    """A command that times training steps and prints {"seconds": [...], ...}, and its environment."""
    command: list[str]
    environment: dict[str, str]

    def run(self) -> dict:
        try:
            result = subprocess.run(self.command, env=self.environment, stdin=subprocess.DEVNULL,
                                    capture_output=True, text=True, check=False)
        except OSError as error:
            raise BadUsage(f"cannot start the program ({error.strerror}), {self.command[0]}, "
                           "check that it is built for this machine") from None
        if result.returncode == 0:
            try:
                return json.loads(result.stdout)
            except ValueError:
                raise BadUsage(f"a program printed something other than JSON, {self.command[0]}, "
                               "give decorr_step_benchmark with --program") from None
        lines = result.stderr.strip().splitlines()
        _, is_error, message = lines[-1].partition(": error: ") if lines else ("", "", "")
        if is_error:
            raise (BadUsage if result.returncode == 2 else Failure)(message)
        raise Failure(f"a program failed with exit code {result.returncode} ({' '.join(lines[-2:])}), "
                      f"{shlex.join(self.command)}, run it alone")


def our_program(arguments: argparse.Namespace, network: str, **options) -> Program:
    """decorr_step_benchmark, with further options of it."""
    options = {"model": MODEL[network], "batch": BATCH[network], "lr": LR, "root": arguments.data,
               **step_options(arguments), **options}
    return Program([str(arguments.program), *as_options(options)], dict(os.environ))


def torch_program(script: str, *positional: str, **options) -> Program:
    """A script beside this one that times PyTorch."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *positional, *as_options(options)]
    # Who sets these does it for other programs; PyTorch's products are slower with them.
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    return Program(command, environment)


def as_options(options: dict[str, object]) -> list[str]:
    return [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]


def take_turns(programs: dict[str, Program], rounds: int, label: str) -> dict[str, list[float]]:
    """Seconds a step of each program in each round; every other round goes through them backwards.

    The mean of a turn's steps counts, not their median, so that work which is not due in every step does.
    """
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(rounds):
        print(f"[{turn + 1}/{rounds}] {label}", file=sys.stderr, flush=True)
        for name in list(programs)[::1 if turn % 2 == 0 else -1]:
            seconds[name].append(fmean(programs[name].run()["seconds"]))
    return seconds


@dataclass(frozen=True)
class Ratio:
    """A comparison to be printed: the times of program `over` by those of program `under`."""
    name: str
    over: str
    under: str


def divided(over: list[float], under: list[float]) -> list[float]:
    """Ratios round by round."""
    return [a / b for a, b in zip(over, under, strict=True)]


def summary(rounds: list[float]) -> dict:
    return {"median": median(rounds), "lowest": min(rounds), "highest": max(rounds), "rounds": rounds}


def cell(rounds: list[float], digits: int) -> str:
    """median (lowest–highest)"""
    middle, low, high = (f"{f(rounds):.{digits}f}" for f in (median, min, max))
    return f"{middle} ({low}–{high})"


def compare(programs: dict[str, Program], ratios: list[Ratio], arguments: argparse.Namespace,
            network: str) -> dict:
    """Times the programs in turns; what is to be reported of them. Ratios to what is absent are None."""
    seconds = take_turns(programs, arguments.rounds, f"{network} network, a turn of each program")
    base = next(iter(seconds.values()))
    return {
        "network": network, "batch": BATCH[network],
        "seconds": {name: summary(times) for name, times in seconds.items()},
        "to_first": {name: summary(divided(times, base)) for name, times in seconds.items()},
        "ratios": {ratio.name: summary(divided(seconds[ratio.over], seconds[ratio.under]))
                   if {ratio.over, ratio.under} <= seconds.keys() else None for ratio in ratios}}


def print_times(results: list[dict], settings: dict) -> None:
    """Prints the tables of times and of ratios."""
    print(f"{settings['threads']} threads, {settings['rounds']} rounds of {settings['steps']} steps of "
          f"each program after {settings['warmup']} to warm up; median (lowest–highest) over the rounds.")
    for result in results:
        first = next(iter(result["seconds"]))
        print(f"\n{result['network']} network, batch {result['batch']}:\n")
        print(markdown(["", "seconds a step", f"ratio to {first}"],
                       [[name, cell(result["seconds"][name]["rounds"], 4),
                         cell(result["to_first"][name]["rounds"], 2)] for name in result["seconds"]]))
    print("\nStep times, one by the other:\n")
    print(markdown(["network", "ratio", "median (lowest–highest)"],
                   [[result["network"], name, cell(value["rounds"], 3) if value else "not available"]
                    for result in results for name, value in result["ratios"].items()]))


def step_options(arguments: argparse.Namespace) -> dict[str, int]:
    """The options of add_step_options() as they were given."""
    return {"threads": arguments.threads, "steps": arguments.steps, "warmup": arguments.warmup}


def idle_load() -> float:
    """The load average. Warns if the machine is not idle."""
    load = os.getloadavg()[0]
    if load > IDLE_LOAD:
        print(f"{script_name()}: warning: the load average is {load:.2f}, other programs are running, "
              "measure on an idle machine", file=sys.stderr, flush=True)
    return load


def settings_of(arguments: argparse.Namespace) -> dict:
    """What a report says of the run."""
    return {**step_options(arguments), "rounds": arguments.rounds, "load_average": idle_load()}


def add_step_options(parser: argparse.ArgumentParser, steps: int) -> None:
    parser.add_argument("--steps", type=whole(1), default=steps, metavar="N",
                        help=f"timed steps a turn (default: {steps})")
    parser.add_argument("--warmup", type=whole(0), default=3, metavar="N",
                        help="steps before those (default: 3)")
    parser.add_argument("--threads", type=whole(1), default=2, metavar="N", help="threads (default: 2)")


class Parser(LineParser):
    """A parser with the options of all comparisons."""

    def __init__(self, description: str, example: str, steps: int):
        super().__init__(description=description, epilog=f"example: {example}",
                         formatter_class=argparse.RawDescriptionHelpFormatter)
        program = ROOT / "build/release/benchmarks/decorr_step_benchmark"
        self.add_argument("--program", type=Path, default=program, metavar="PROGRAM",
                          help=f"decorr_step_benchmark (default: {program.relative_to(ROOT)})")
        self.add_argument("--data", type=Path, default=cifar10_folder(), metavar="DIR",
                          help="binary files of CIFAR-10 (default: $DECORR_DATA/cifar10 or "
                               "~/.cache/decorr/cifar10)")
        self.add_argument("--network", choices=NETWORKS, action="append", dest="networks",
                          help="only this network (repeatable)")
        self.add_argument("--rounds", type=whole(1), default=5, metavar="N",
                          help="turns of each program (default: 5)")
        add_step_options(self, steps)
        self.add_argument("--json", action="store_true", help="print one JSON object instead of tables")

    def parse(self) -> argparse.Namespace:
        arguments = self.parse_args()
        arguments.networks = [name for name in NETWORKS if name in (arguments.networks or NETWORKS)]
        if not arguments.program.is_file():
            raise BadUsage(f"there is no such program, {arguments.program}, "
                           "build decorr_step_benchmark or give --program")
        arguments.program = arguments.program.resolve()
        if not cifar10_file(arguments.data, "data_batch_1.bin").is_file():
            raise BadUsage(f"there is no data_batch_1.bin, {arguments.data}, "
                           "run decorr data fetch cifar10 or give --data")
        return arguments


def cifar10_folder() -> Path:
    """The folder where decorr looks first."""
    try:
        return Path(os.environ.get("DECORR_DATA") or Path.home() / ".cache" / "decorr") / "cifar10"
    except RuntimeError:
        raise BadUsage("there is no home folder, HOME is not set, set DECORR_DATA") from None


def cifar10_file(folder: Path, name: str) -> Path:
    """A binary file of CIFAR-10 in a folder or in the one that its archive has."""
    inner = folder / "cifar-10-batches-bin"
    return (inner if inner.is_dir() else folder) / name


def import_torch():
    try:
        import torch
    except ImportError as error:
        raise Failure(f"a Python package is missing ({error}), {sys.executable}, "
                      "apt install python3-torch and use /usr/bin/python3") from None
    return torch
