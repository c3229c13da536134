#!/usr/bin/python3
"""Compares learning rules, plain (method = none) and decorrelated, each at its best learning rate.

Tuning: every rule and form is trained with each rate of its grid, some training images held out; the best
rate is the one with the highest validation accuracy after the last epoch. Then every seed is trained with
that rate on all training images. A run that is finished is not done again, an unfinished one is resumed.
Prints two markdown tables: test accuracy in per cent after the last epoch (mean over the seeds ± standard
error; the gain is taken seed by seed), and the validation accuracies behind the choice of the rates. A
--set of a decorrelation key is for the decorrelated form only.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from script_tools import BadUsage, markdown, whole
from training_jobs import (Job, Parser, Run, cannot_start, check_alike, check_configs, exit_code_of,
                           mean_and_error, numbers, reading, train)

RULES = ["backprop", "feedback-alignment", "direct-feedback-alignment", "sign-symmetry", "kolen-pollack",
         "node-perturbation", "weight-perturbation"]
RATES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
FORMS = ("plain", "decorrelated")
# What the table sets for each run, beside decorrelation.method.
VARIED = ("learning.rule", "optimizer.lr", "seed", "data.validation")


class Case:
    """A rule in one form: its trainings and what came out."""

    def __init__(self, arguments: argparse.Namespace, rule: str, form: str):
        self.arguments, self.rule, self.form = arguments, rule, form
        self.name = f"{rule}, {form}"
        self.rates = sorted(dict(arguments.lr_of).get(rule, arguments.lr))
        self.tuning = {rate: self.job(rate, arguments.tuning_seed, arguments.validation)
                       for rate in self.rates}
        self.final: list[Job] = []
        self.validation: dict[float, float | None] = {}  # None: diverged
        self.best: float | None = None  # None: all diverged

    def job(self, rate: float, seed: int, validation: int) -> Job:
        config = self.arguments.config
        # The program refuses settings of a decorrelation that there is not.
        settings = [setting for setting in self.arguments.settings
                    if self.form == "decorrelated" or not setting.startswith("decorrelation.")]
        if self.form == "plain":
            settings.append("decorrelation.method=none")
        settings += [f"learning.rule={self.rule}", f"optimizer.lr={rate!r}", f"seed={seed}",
                     f"data.validation={validation}"]
        name = f"{config.stem}-{self.rule}-{self.form}-lr{rate:g}-{'tuning-' if validation else ''}{seed}"
        return Job(self.arguments, config, name, settings)

    def choose(self) -> None:
        """Takes the best rate, the lowest of several, for the final trainings."""
        self.validation = {rate: last(Run(job.folder), "validation_acc")
                           for rate, job in self.tuning.items()}
        good = {rate: value for rate, value in self.validation.items() if value is not None}
        if good:
            self.best = max(good, key=good.get)
            self.final = [self.job(self.best, seed, 0) for seed in self.arguments.seeds]

    def accuracies(self) -> list[float]:
        """Test accuracy of each seed in per cent; nothing if a training diverged."""
        values = [last(Run(job.folder), "test_acc") for job in self.final]
        return [] if None in values else [100 * value for value in values]

    @property
    def at_edge(self) -> bool:
        return self.best in (self.rates[0], self.rates[-1])


def last(run: Run, key: str) -> float | None:
    """The value after the last epoch; None if the training diverged."""
    with reading(run.folder):
        return None if run.diverged else float(run.rows[-1][key])


def train_alike(jobs: list[Job], arguments: argparse.Namespace) -> None:
    """Does those of the jobs that are not finished, and checks that the runs go into one table."""
    train(jobs, arguments.jobs)
    check_alike([Run(job.folder) for job in jobs], (*VARIED, "decorrelation.method"),
                arguments.config.stem, arguments.out)


def rate_text(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:g}"


def accuracy_table(cases: dict[tuple[str, str], Case], rules: list[str]) -> str:
    rows = []
    for rule in rules:
        pair = [cases[rule, form] for form in FORMS]
        values = [case.accuracies() for case in pair]
        cells = [mean_and_error(each) if each else "diverged" for each in values]
        gains = [after - before for before, after in zip(*values)]
        cells.append(mean_and_error(gains, "+") if gains else "-")
        rows.append([rule, *cells, ", ".join(rate_text(case.best) for case in pair)])
    return markdown(["rule", *FORMS, "gain", f"best rates ({', '.join(FORMS)})"], rows)


def tuning_table(cases: list[Case]) -> str:
    rates = sorted(set().union(*(case.rates for case in cases)))

    def cell(case: Case, rate: float) -> str:
        if rate not in case.validation:
            return "-"
        value = case.validation[rate]
        text = "diverged" if value is None else f"{100 * value:.2f}"
        return f"**{text}**" if rate == case.best else text
    rows = [[case.rule, case.form, *(cell(case, rate) for rate in rates)] for case in cases]
    return markdown(["rule", "form", *map(rate_text, rates)], rows)


def check_rules(program: str, asked: list[str]) -> None:
    try:
        result = subprocess.run([program, "info", "--rules"], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, check=False)
    except OSError as error:
        raise cannot_start(program, error) from None
    if result.returncode != 0:
        raise BadUsage(f"the program does not list its learning rules, {program}, "
                       "give another with --decorr")
    known = result.stdout.split()
    unknown = [rule for rule in asked if rule not in known]
    if unknown:
        raise BadUsage(f"no such learning rule, {', '.join(unknown)}, choose among {', '.join(known)}")


def names(text: str) -> list[str]:
    return list(dict.fromkeys(text.split(",")))


def rates_of_rule(text: str) -> tuple[str, list[float]]:
    rule, equals, rates = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be RULE=RATE,..., got '{text}'")
    return rule, numbers(float, 0, above=True)(rates)


def parse() -> argparse.Namespace:
    parser = Parser(
        __doc__, "scripts/learning_rules_table.py configs/fashion_mnist_rules.toml --out runs/rules "
                 "--decorr build/release/bin/decorr --lr-of node-perturbation=1e-5,3e-5,1e-4",
        runs="CONFIG-RULE-FORM-lrRATE-SEED and the same with tuning-SEED", at_once=2)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="configuration file")
    parser.add_argument("--rules", type=names, default=RULES, metavar="RULE,...",
                        help=f"learning rules (default: {', '.join(RULES)})")
    parser.add_argument("--lr", type=numbers(float, 0, above=True), default=RATES, metavar="RATE,...",
                        help=f"grid of learning rates (default: {','.join(map(rate_text, RATES))})")
    parser.add_argument("--lr-of", type=rates_of_rule, action="append", default=[],
                        metavar="RULE=RATE,...", help="grid of a single rule (repeatable)")
    parser.add_argument("--seeds", type=numbers(int, 0), default=[42, 43, 44], metavar="SEED,...",
                        help="seeds of the final trainings (default: 42,43,44)")
    parser.add_argument("--tuning-seed", type=whole(0), default=42, metavar="SEED",
                        help="seed of the trainings that choose the rate (default: 42)")
    parser.add_argument("--validation", type=whole(1), default=10000, metavar="N",
                        help="training images held out to choose the rate (default: 10000)")
    arguments = parser.parse_args()
    check_configs([arguments.config])
    strangers = [rule for rule, _ in arguments.lr_of if rule not in arguments.rules]
    if strangers:
        raise BadUsage(f"--lr-of names a rule that is not asked for, {', '.join(strangers)}, "
                       "add it to --rules or drop its rates")
    fixed = [setting for setting in arguments.settings if setting.partition("=")[0].strip() in VARIED]
    if fixed:
        raise BadUsage(f"the table itself varies this, --set {fixed[0]}, "
                       "use --rules, --lr, --seeds or --validation")
    check_rules(arguments.decorr, arguments.rules)
    return arguments


def compare() -> None:
    arguments = parse()
    table = {(rule, form): Case(arguments, rule, form) for rule in arguments.rules for form in FORMS}
    cases = list(table.values())
    tuning = [job for case in cases for job in case.tuning.values()]
    train_alike(tuning, arguments)
    for case in cases:
        case.choose()
    train_alike([*tuning, *(job for case in cases for job in case.final)], arguments)

    print(f"### {arguments.config.stem}\n")
    print(f"Test accuracy, seeds {', '.join(map(str, arguments.seeds))}:\n")
    print(accuracy_table(table, arguments.rules))
    print(f"\nValidation accuracy by learning rate, {arguments.validation} images held out, "
          f"seed {arguments.tuning_seed}:\n")
    print(tuning_table(cases))
    edges = [f"{case.name} ({case.best:g})" for case in cases if case.at_edge]
    if edges:
        print(f"\nNote: best at the edge of the grid: {'; '.join(edges)}.")


if __name__ == "__main__":
    sys.exit(exit_code_of(compare))
