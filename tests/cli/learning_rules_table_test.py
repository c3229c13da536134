"""scripts/learning_rules_table.py with the program, and on runs written by hand."""

import re
import shutil
from functools import partial
from pathlib import Path

import pytest
import support
from support import PROGRAM, check_script_error, rows, run_script, snapshot, stand_in

RULES = ("backprop", "feedback-alignment")
FORMS = ("plain", "decorrelated")

compare = partial(run_script, "learning_rules_table")


def write_run(folder: Path, accuracies: list[float], decay=0.0) -> None:
    """A finished run with the settings that its name tells and the accuracies of its epochs (on the
    validation images if it is for tuning); one without accuracies diverged."""
    name = re.fullmatch(r"net-(.+)-(plain|decorrelated)-lr([^t]+)-(tuning-)?(\d+)", folder.name)
    rule, form, rate, tuning, seed = name.groups()
    lines = [{"epoch": i + 1, "test_acc": 0.1, "validation_acc": value} if tuning else
             {"epoch": i + 1, "test_acc": value} for i, value in enumerate(accuracies)]
    # Keys that have no effect are not there.
    method = 'method = "none"' if form == "plain" else 'method = "norm-preserving"\ndamping = 0.3'
    scale = "\nfeedback_scale = 1.0" if rule == "feedback-alignment" else ""
    config = (
        f'seed = {seed}\n[data]\nvalidation = {100 if tuning else 0}\n[decorrelation]\n{method}\n'
        f'[learning]\nrule = "{rule}"{scale}\n[optimizer]\nlr = {float(rate)}\n'
        f'weight_decay = {decay}\n[train]\nepochs = 2\nthreads = 1\n')
    support.write_run(folder, lines, config, "completed" if accuracies else "diverged")


@pytest.fixture
def lister(tmp_path) -> Path:
    """Stands in for the program: lists learning rules, and fails if it is to train."""
    return stand_in(tmp_path, f'[ "$1" = info ] || exit 9\nprintf "%s\\n" {" ".join(RULES)}')


@pytest.fixture
def runs(tmp_path) -> Path:
    out = tmp_path / "out"
    tuning = {  # validation accuracy in the end for each rate
        ("backprop", "plain"): {0.001: 0.80, 0.01: 0.84, 0.1: None},
        ("backprop", "decorrelated"): {0.001: 0.85, 0.01: 0.85, 0.1: 0.2},
        ("feedback-alignment", "plain"): {1e-5: 0.7, 0.001: 0.6},
        ("feedback-alignment", "decorrelated"): {1e-5: None, 0.001: None}}
    for (rule, form), values in tuning.items():
        for rate, value in values.items():
            write_run(out / f"net-{rule}-{form}-lr{rate:g}-tuning-5",
                      [] if value is None else [0.9, value])
    for seed, plain, decorrelated, alignment in ((1, 0.80, 0.84, []), (2, 0.82, 0.85, [0.1, 0.7])):
        write_run(out / f"net-backprop-plain-lr0.01-{seed}", [0.1, plain])
        write_run(out / f"net-backprop-decorrelated-lr0.001-{seed}", [0.1, decorrelated])
        write_run(out / f"net-feedback-alignment-plain-lr1e-05-{seed}", alignment)
    return out


@pytest.fixture
def written(tmp_path, lister, runs) -> list:
    """The arguments that ask for the runs written by hand."""
    config = tmp_path / "net.toml"
    config.write_text("seed = 9\n[decorrelation]\ndamping = 0.3\n[train]\nepochs = 2\n")
    return [config, "--out", runs, "--decorr", lister, "--rules", ",".join(RULES),
            "--lr", "0.1,1e-3,0.01", "--seeds", "1,2", "--tuning-seed", "5", "--validation", "100",
            "--lr-of", "feedback-alignment=1e-3,1e-5"]


def test_tunes_trains_and_does_nothing_twice(tmp_path, config):
    out = tmp_path / "out"
    arguments = [config, "--out", out, "--rules", ",".join(RULES), "--lr", "3e-5,0.003",
                 "--seeds", "7", "--validation", "57", "--set", "train.epochs=1",
                 "--set", "decorrelation.damping=0.5"]
    result = compare(*arguments, "--decorr", PROGRAM)
    assert result.returncode == 0, result.stderr

    lines = result.stdout.splitlines()
    for i, rule in enumerate(RULES):
        finals, rates = [], []
        for j, form in enumerate(FORMS):
            name = f"config-{rule}-{form}"
            validation = {rate: rows(out / f"{name}-lr{rate}-tuning-42")[-1]["validation_acc"]
                          for rate in ("3e-05", "0.003")}
            rates.append(max(validation, key=validation.get))
            finals.append(100 * rows(out / f"{name}-lr{rates[j]}-7")[-1]["test_acc"])
            row = next(line for line in lines if line.startswith(f"| {rule} | {form} | "))
            for value in validation.values():
                assert f"{100 * value:.2f}" in row
        plain, decorrelated = finals
        assert lines[6 + i] == (f"| {rule} | {plain:.2f} | {decorrelated:.2f} | "
                                f"{decorrelated - plain:+.2f} | {', '.join(rates)} |")
    assert len(list(out.iterdir())) == len(RULES) * len(FORMS) * (2 + 1)
    assert lines[-1].startswith("Note: best at the edge of the grid: backprop, plain (")

    for form, words in (("plain", ['method = "none"']), ("decorrelated", ["damping = 0.5"])):
        name = f"config-feedback-alignment-{form}-lr0.003-tuning-42"
        settings = (out / name / "config.toml").read_text()
        for word in (*words, 'rule = "feedback-alignment"', "lr = 0.003", "validation = 57",
                     "threads = 1"):
            assert word in settings

    before = snapshot(out)
    again = compare(*arguments, "--decorr", PROGRAM)
    assert again.returncode == 0 and again.stdout == result.stdout and again.stderr == ""
    assert snapshot(out) == before


def test_tables(written):
    result = compare(*written)
    assert result.returncode == 0, result.stderr
    assert result.stdout == """\
### net

Test accuracy, seeds 1, 2:

| rule | plain | decorrelated | gain | best rates (plain, decorrelated) |
|---|---|---|---|---|
| backprop | 81.00 ± 1.00 | 84.50 ± 0.50 | +3.50 ± 0.50 | 0.01, 0.001 |
| feedback-alignment | diverged | diverged | - | 1e-05, - |

Validation accuracy by learning rate, 100 images held out, seed 5:

| rule | form | 1e-05 | 0.001 | 0.01 | 0.1 |
|---|---|---|---|---|---|
| backprop | plain | - | 80.00 | **84.00** | diverged |
| backprop | decorrelated | - | **85.00** | 85.00 | 20.00 |
| feedback-alignment | plain | **70.00** | 60.00 | - | - |
| feedback-alignment | decorrelated | diverged | diverged | - | - |

Note: best at the edge of the grid: backprop, decorrelated (0.001); feedback-alignment, plain (1e-05).
"""


def test_a_rate_inside_its_grid_needs_no_note(written, runs):
    for run in runs.glob("*decorrelated*"):
        shutil.rmtree(run)
    for rate, value in ((0.001, 0.8), (0.01, 0.9), (0.1, 0.8)):
        write_run(runs / f"net-backprop-decorrelated-lr{rate:g}-tuning-5", [value])
    for seed in (1, 2):
        write_run(runs / f"net-backprop-decorrelated-lr0.01-{seed}", [0.9])
    result = compare(*written[:-2], "--rules", "backprop")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].startswith("| backprop | decorrelated | 80.00 | **90.00**")


def test_trains_what_is_missing(written, runs):
    missing = runs / "net-backprop-plain-lr0.01-2"
    (missing / "summary.json").unlink()
    check_script_error(compare(*written), 1, "exit code 9", str(missing))


@pytest.mark.parametrize("change, needles", [
    (["--validation", "50"], ["data.validation = 100", "50", "net-backprop-plain-lr0.001-tuning-5"]),
    (["--set", "train.epochs=3"], ["train.epochs = 2", "3"]),
    (["--set", "decorrelation.damping=1"], ["decorrelation.damping = 0.3", "1", "decorrelated"]),
    (["--threads", "2"], ["train.threads = 1", "2"])])
def test_refuses_finished_runs_of_other_settings(written, runs, change, needles):
    before = snapshot(runs)
    check_script_error(compare(*written, *change), 2, *needles, str(runs))
    assert snapshot(runs) == before


def test_refuses_to_mix_settings_that_it_does_not_ask_for(written, runs):
    folder = runs / "net-backprop-plain-lr0.01-2"
    shutil.rmtree(folder)
    write_run(folder, [0.1, 0.9], decay=0.1)
    check_script_error(compare(*written), 2, "optimizer.weight_decay", str(runs))


@pytest.mark.parametrize("name, content", [
    ("metrics.jsonl", ""), ("metrics.jsonl", "[1]\n"), ("summary.json", "{}"),
    ("config.toml", "nonsense")])
def test_names_the_run_it_cannot_read(written, runs, name, content):
    run = runs / "net-backprop-plain-lr0.01-2"
    (run / name).write_text(content)
    check_script_error(compare(*written), 2, str(run))


@pytest.mark.parametrize("change, needle", [
    (["--rules", "backprop,backpropp"], "backpropp"), (["--rules", ""], "learning rule"),
    (["--lr", "0"], "above 0"), (["--lr", "0.1,nan"], "finite"), (["--lr", "fast"], "fast"),
    (["--lr-of", "backprop=-1"], "above 0"), (["--lr-of", "backprop"], "RULE=RATE"),
    (["--lr-of", "kolen-pollack=0.1"], "kolen-pollack"), (["--seeds", "1.5"], "1.5"),
    (["--tuning-seed", "-1"], "at least 0"), (["--validation", "0"], "at least 1"),
    (["--jobs", "0"], "at least 1"), (["--set", "optimizer.lr=1"], "optimizer.lr=1"),
    (["--decorr", "/no/such/program"], "/no/such/program"), (["--decorr", "/bin/false"], "/bin/false"),
    (["--sed", "1"], "--sed")])
def test_wrong_usage(tmp_path, config, lister, change, needle):
    result = compare(config, "--out", tmp_path / "out", "--decorr", lister,
                     "--rules", ",".join(RULES), *change)
    check_script_error(result, 2, needle)
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_configuration_that_is_not_there(tmp_path, lister):
    result = compare(tmp_path / "absent.toml", "--out", tmp_path / "out", "--decorr", lister)
    check_script_error(result, 2, "absent.toml")
