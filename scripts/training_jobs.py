"""What the scripts that train many networks share: the trainings, and reading what they left."""

import argparse
import json
import math
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import script_tools
from script_tools import BadUsage, Failure, LineParser, whole

EXIT_DIVERGED = 3

exit_code_of = partial(script_tools.exit_code_of,
                       interrupted="the runs that have begun have checkpoints, start again to go on")


class Job:
    """A training to be done: its name, and settings (KEY=VALUE, later ones win) on top of `config`."""

    def __init__(self, arguments: argparse.Namespace, config: Path, name: str, settings: list[str]):
        self.name = name
        self.folder = arguments.out / name
        self.config = config
        self.settings = [f"train.threads={arguments.threads}", *settings]
        self.command = [arguments.decorr, "train", str(config), "--quiet", "--resume",
                        "--out", str(self.folder)]
        for setting in self.settings:
            self.command += ["--set", setting]

    def asked(self) -> dict[str, object]:
        """The settings by key; those that are not given have the program's defaults."""
        try:
            settings = flat(tomllib.loads(self.config.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise BadUsage(f"cannot read the configuration ({error}), {self.config}, "
                           "check the file") from None
        for setting in self.settings:
            key, _, text = setting.partition("=")
            try:
                settings[key.strip()] = tomllib.loads(f"value = {text}")["value"]
            except tomllib.TOMLDecodeError:
                settings[key.strip()] = text.strip()
        return settings


def flat(document: dict) -> dict[str, object]:
    """{"optimizer.lr": 0.001, ...}"""
    settings = {}
    for key, value in document.items():
        items = value.items() if isinstance(value, dict) else [("", value)]
        settings.update({f"{key}.{leaf}".rstrip("."): item for leaf, item in items})
    return settings


def finished(folder: Path) -> bool:
    """Whether a run has come to its end; one that was interrupted has a summary too."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True  # reading the run says what is wrong
    return not isinstance(summary, dict) or summary.get("status") != "interrupted"


@contextmanager
def reading(folder: Path):
    """Turns whatever is wrong with the files of a run into an error that names the run."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadUsage(f"cannot read the run ({type(error).__name__}: {error}), {folder}, "
                       "delete it and train again") from None


class Run:
    """What a finished run left."""

    def __init__(self, folder: Path):
        with reading(folder):
            lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            self.rows = [json.loads(line) for line in lines]
            # Test accuracy by epoch.
            self.accuracies = {row["epoch"]: row["test_acc"] for row in self.rows}
            self.diverged = json.loads((folder / "summary.json").read_text())["status"] == "diverged"
            self.settings = flat(tomllib.loads((folder / "config.toml").read_text(encoding="utf-8")))
        self.folder = folder


def check_finished(jobs: list[Job]) -> None:
    """Refuses to take runs that are finished for jobs that ask for other settings."""
    for job in jobs:
        settings = Run(job.folder).settings
        # A key that the run does not have is without effect there.
        for key, value in job.asked().items():
            if settings.get(key, value) != value:
                raise BadUsage(f"a finished run has {key} = {settings[key]!r}, asked for is {value!r}, "
                               f"{job.folder}, delete it or give another --out")


def check_alike(runs: list[Run], varied: tuple[str, ...], what: str, out: Path) -> None:
    """Refuses runs that differ in more than the keys that begin with one of `varied`."""
    first: dict[str, object] = {}
    keys = {key for run in runs for key, value in run.settings.items()
            if not key.startswith(varied) and first.setdefault(key, value) != value}
    if keys:
        raise BadUsage(f"the runs of {what} also differ in {', '.join(sorted(keys))}, {out}, "
                       "delete those of another sweep or give another --out")


def cannot_start(program: str, error: OSError) -> BadUsage:
    return BadUsage(f"cannot start the program ({error.strerror}), {program}, "
                    "build it or give it with --decorr")


def start(job: Job) -> subprocess.Popen:
    try:
        return subprocess.Popen(job.command, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise cannot_start(job.command[0], error) from None


def stop(processes: list[subprocess.Popen]) -> None:
    """Asks the trainings to write a checkpoint and end, and waits for them."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def train(jobs: list[Job], at_once: int) -> None:
    """Does the jobs that are not finished; each line on stderr is one that has ended."""
    check_finished([job for job in jobs if finished(job.folder)])
    waiting = [job for job in jobs if not finished(job.folder)]
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


def mean_and_error(values: list[float], sign: str = "") -> str:
    """Mean ± standard error, which a single value does not have."""
    error = f" ± {stdev(values) / math.sqrt(len(values)):.2f}" if len(values) > 1 else ""
    return f"{mean(values):{sign}.2f}{error}"


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


class Parser(LineParser):
    """A parser with the options of all scripts that train; `at_once` is the default of --jobs."""

    def __init__(self, description: str, example: str, runs: str, at_once: int):
        super().__init__(description=description, epilog=f"example: {example}",
                         formatter_class=argparse.RawDescriptionHelpFormatter)
        self.add_argument("--out", type=Path, required=True, metavar="DIR",
                          help=f"folder of the runs, {runs}")
        self.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE",
                          help="another setting of all runs, as in decorr train (repeatable)")
        self.add_argument("--decorr", default="decorr", metavar="PROGRAM", help="the decorr program")
        self.add_argument("--jobs", type=whole(1), default=at_once, metavar="N",
                          help=f"trainings at once (default: {at_once})")
        self.add_argument("--threads", type=whole(1), default=1, metavar="N",
                          help="threads of each (default: 1)")


def check_configs(configs: list[Path]) -> None:
    missing = [str(config) for config in configs if not config.is_file()]
    if missing:
        raise BadUsage(f"there is no such configuration, {', '.join(missing)}, check the path")
