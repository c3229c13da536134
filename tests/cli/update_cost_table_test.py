"""scripts/update_cost_table.py with the program, and on runs written by hand."""

import importlib
import re
import shutil
import sys
import tomllib
from functools import partial
from pathlib import Path
from statistics import fmean, median

import pytest
import support
from support import (PROGRAM, SCRIPTS, check_script_error, check_success, decorr, rows, run_script, snapshot,
                     stand_in, write_config)

cost_table = partial(run_script, "update_cost_table")


def write_run(folder: Path, seconds: list[float], energies=(1.0, 2.0), accuracies=(0.4, 0.5),
              status="completed", damping=0.3) -> Path:
    """A finished run with the settings that its name tells; `energies` of its layers after the last epoch."""
    name = re.fullmatch(r"net-(?:plain|k(.+)-s(.+)-eta(.+))-(\d+)", folder.name)
    k, s, eta, seed = name.groups()
    lines = [{"epoch": i + 1, "test_acc": accuracy, "train_seconds": time,
              "layers": [{"path": f"layers.{j}", "energy": 99.0} for j, _ in enumerate(energies)]}
             for i, (accuracy, time) in enumerate(zip(accuracies, seconds))]
    for layer, energy in zip(lines[-1]["layers"] if lines else [], energies):
        layer["energy"] = energy
    # Keys that have no effect are not there.
    decorrelation = 'method = "none"' if k is None else (
        f'method = "norm-preserving"\nlr = {float(eta)}\nsample_fraction = 1.0\nmax_samples = {s}\n'
        f'update_every = {k}\ndamping = {damping}')
    config = f'seed = {seed}\n[decorrelation]\n{decorrelation}\n[train]\nepochs = 2\nthreads = 1\n'
    return support.write_run(folder, lines, config, status)


@pytest.fixture
def runs(tmp_path) -> Path:
    out = tmp_path / "out"
    write_run(out / "net-plain-1", [3.0, 2.0], energies=[40.0, 60.0])
    write_run(out / "net-plain-2", [2.0, 1.0], energies=[50.0, 58.0], accuracies=(0.42, 0.54))
    write_run(out / "net-k1-s26-eta0.002-1", [3.0, 5.0])
    write_run(out / "net-k1-s26-eta0.002-2", [4.0, 4.0], energies=[2.0, 3.0], accuracies=(0.44, 0.56))
    write_run(out / "net-k3-s13-eta0.006-1", [2.5, 2.5], energies=[None, 3.0])
    write_run(out / "net-k3-s13-eta0.006-2", [2.5, 2.5])
    write_run(out / "net-k9-s13-eta0.018-1", [], status="diverged")
    write_run(out / "net-k9-s13-eta0.018-2", [2.0, 2.0])
    return out


@pytest.fixture
def written(tmp_path, runs) -> list:
    """The arguments that ask for the runs written by hand; training any other one fails."""
    config = tmp_path / "net.toml"
    config.write_text("seed = 9\n[decorrelation]\nlr = 0.002\ndamping = 0.3\n[train]\nepochs = 2\n")
    return [config, "--out", runs, "--decorr", stand_in(tmp_path, "exit 9"), "--seeds", "1,2",
            "--pairs", "1:26,3:13,9:13", "--scale-lr"]


def test_trains_the_grid_and_does_nothing_twice(tmp_path, data):
    config = write_config(tmp_path / "tiny-net.toml", data, decorrelation={"damping": 0.5})
    out = tmp_path / "out"
    arguments = [config, "--out", out, "--update-every", "1,3", "--samples", "5,500", "--seeds", "7,8",
                 "--scale-lr", "--set", "optimizer.lr=0.001", "--set", "decorrelation.kappa=0.25",
                 "--set", "decorrelation.method=dbp"]
    result = cost_table(*arguments, "--decorr", PROGRAM)
    assert result.returncode == 0, result.stderr
    points = {"plain": "plain | - | -", "k1-s5-eta0.002": "1 | 5 | 0.002",
              "k1-s500-eta0.002": "1 | 500 | 0.002", "k3-s5-eta0.006": "3 | 5 | 0.006",
              "k3-s500-eta0.006": "3 | 500 | 0.006"}
    assert {path.name for path in out.iterdir()} == {
        f"tiny-net-{point}-{seed}" for point in points for seed in (7, 8)}
    # 257 images in batches of 64 are 5 steps an epoch; the update is due in steps 0, 3, 6 and 9.
    assert {layer["updates"] + layer["skipped"]
            for layer in rows(out / "tiny-net-k3-s5-eta0.006-7")[-1]["layers"]} == {4}
    settings = (out / "tiny-net-k3-s500-eta0.006-8" / "config.toml").read_text()
    for line in ("seed = 8", 'method = "dbp"', "kappa = 0.25", "damping = 0.5", "lr = 0.006",
                 "sample_fraction = 1.0", "max_samples = 500", "update_every = 3", "lr = 0.001",
                 "threads = 1"):
        assert f"\n{line}\n" in f"\n{settings}"
    assert 'method = "none"' in (out / "tiny-net-plain-7" / "config.toml").read_text()

    lines = result.stdout.splitlines()
    assert lines[0] == "### tiny-net" and lines[2].endswith("s; threads: 1; seeds: 7, 8.")
    seconds = {point: median(row["train_seconds"] for seed in (7, 8)
                             for row in rows(out / f"tiny-net-{point}-{seed}")) for point in points}
    for line, (point, heads) in zip(lines[6:], points.items(), strict=True):
        last = [rows(out / f"tiny-net-{point}-{seed}")[-1] for seed in (7, 8)]
        energy = fmean(layer["energy"] for row in last for layer in row["layers"])
        accuracy = 100 * fmean(row["test_acc"] for row in last)
        assert line.startswith(f"| {heads} | {seconds[point] / seconds['plain']:.2f} | {energy:.2f} ± ")
        assert f" | {accuracy:.2f} ± " in line

    before = snapshot(out)
    again = cost_table(*arguments, "--decorr", tmp_path / "no-program")
    assert again.returncode == 0 and again.stdout == result.stdout and again.stderr == ""
    assert snapshot(out) == before


def test_table(written):
    result = cost_table(*written)
    assert result.returncode == 0, result.stderr
    assert result.stdout == """\
### net

An epoch of the plain network takes 2 s; threads: 1; seeds: 1, 2.

| update_every | rows sampled | η | epoch time / plain | off-diagonal energy | accuracy, first epoch \
| accuracy, last epoch |
|---|---|---|---|---|---|---|
| plain | - | - | 1.00 | 52.00 ± 2.00 | 41.00 ± 1.00 | 52.00 ± 2.00 |
| 1 | 26 | 0.002 | 2.00 | 2.00 ± 0.50 | 42.00 ± 2.00 | 53.00 ± 3.00 |
| 3 | 13 | 0.006 | 1.25 | - | 40.00 ± 0.00 | 50.00 ± 0.00 |
| 9 | 13 | 0.018 | 1.00 | diverged | diverged | diverged |
"""


def test_a_resumed_epoch_is_not_timed(written, runs):
    metrics = runs / "net-plain-1" / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"epoch": 1,', '"epoch": 1, "resumed_at_step": 3,'))
    arguments = [*written, "--seeds", "1", "--pairs", "1:26"]
    result = cost_table(*arguments)
    assert "plain network takes 2 s" in result.stdout, result.stderr
    assert "| 1 | 26 | 0.002 | 2.00 | 1.50 | 40.00 | 50.00 |" in result.stdout
    metrics.write_text(metrics.read_text().replace('"epoch": 2,', '"epoch": 2, "resumed_at_step": 9,'))
    result = cost_table(*arguments)
    assert "plain network was not timed" in result.stdout, result.stderr
    assert "| 1 | 26 | 0.002 | - | 1.50 | 40.00 | 50.00 |" in result.stdout


def test_the_rates_of_the_presets_are_those_of_the_program(tmp_path, data):
    sys.path.insert(0, str(SCRIPTS))
    rates = importlib.import_module("update_cost_table").PRESET_RATES
    for preset, rate in rates.items():
        config = write_config(tmp_path / f"{preset}.toml", data, decorrelation={"preset": preset},
                              train={"epochs": 1})
        check_success(decorr("train", config, "--out", tmp_path / preset, "--quiet"))
        resolved = tomllib.loads((tmp_path / preset / "config.toml").read_text())
        assert resolved["decorrelation"]["lr"] == rate


@pytest.mark.parametrize("document, arguments, eta", [
    ("", [], 0.002), ('[decorrelation]\npreset = "published"\n', [], 1e-5),
    ("[decorrelation]\nlr = 0.004\n", [], 0.004), ("[decorrelation]\nlr = 0.004\n", ["--lr", "2e-4"], 2e-4),
    ("", ["--lr", "3e-4", "--scale-lr"], 9e-4), ("[decorrelation]\nlr = 0.1\n", ["--scale-lr"], 0.3)])
def test_learning_rate(tmp_path, document, arguments, eta):
    config = tmp_path / "net.toml"
    config.write_text(document)
    log = tmp_path / "log"
    program = stand_in(tmp_path, f'echo "$@" >> "{log}"\nexit 1')
    result = cost_table(config, "--out", tmp_path / "out", "--decorr", program, "--pairs", "3:20",
                        *arguments)
    check_script_error(result, 1, f"net-k3-s20-eta{eta:g}-42")
    words = log.read_text()
    assert words.count("\n") == 1 and f"--set decorrelation.lr={eta!r} " in words
    for word in ("decorrelation.update_every=3", "decorrelation.max_samples=20",
                 "decorrelation.sample_fraction=1.0", "seed=42", "train.threads=1"):
        assert f"--set {word}" in words


def test_trains_what_is_missing(written, runs):
    missing = runs / "net-k1-s26-eta0.002-2"
    (missing / "summary.json").unlink()
    check_script_error(cost_table(*written), 1, "exit code 9", str(missing))


@pytest.mark.parametrize("change, needles", [
    (["--set", "train.epochs=3"], ["train.epochs = 2", "3"]),
    (["--set", "decorrelation.damping=1"], ["decorrelation.damping = 0.3", "1", "net-k"]),
    (["--threads", "2"], ["train.threads = 1", "2"])])
def test_refuses_finished_runs_of_other_settings(written, runs, change, needles):
    before = snapshot(runs)
    check_script_error(cost_table(*written, *change), 2, *needles, str(runs))
    assert snapshot(runs) == before


def test_refuses_to_mix_settings_that_it_does_not_ask_for(tmp_path, written, runs):
    (tmp_path / "net.toml").write_text("[decorrelation]\nlr = 0.002\n")
    shutil.rmtree(runs / "net-k3-s13-eta0.006-2")
    write_run(runs / "net-k3-s13-eta0.006-2", [2.5, 2.5], damping=0.1)
    check_script_error(cost_table(*written), 2, "decorrelation.damping", str(runs))


@pytest.mark.parametrize("name, content", [
    ("metrics.jsonl", ""), ("metrics.jsonl", "[1]\n"),
    ("metrics.jsonl", '{"epoch": 1, "test_acc": 0.5, "train_seconds": 1.0}\n'),
    ("metrics.jsonl", '{"epoch": 1, "test_acc": 0.5, "layers": [{"energy": 1.0}]}\n'),
    ("metrics.jsonl", '{"epoch": 1, "test_acc": 0.5, "train_seconds": 1.0, "layers": []}\n'),
    ("summary.json", "{}"), ("config.toml", "nonsense")])
def test_names_the_run_it_cannot_read(written, runs, name, content):
    run = runs / "net-k1-s26-eta0.002-1"
    (run / name).write_text(content)
    check_script_error(cost_table(*written), 2, str(run))


@pytest.mark.parametrize("change, needle", [
    (["--update-every", "0"], "at least 1"), (["--update-every", "2,often"], "often"),
    (["--samples", "0"], "at least 1"), (["--samples", "1.5"], "1.5"), (["--pairs", "4"], "k:s"),
    (["--pairs", "1:2:3"], "k:s"), (["--pairs", "0:5"], "at least 1"), (["--pairs", "1:x"], "'x'"),
    (["--pairs", "1:5", "--samples", "5"], "--samples"),
    (["--pairs", "1:5", "--update-every", "1"], "--update-every"), (["--lr", "0"], "above 0"),
    (["--lr", "nan"], "finite"), (["--lr", "fast"], "fast"), (["--seeds", "1.5"], "1.5"),
    (["--jobs", "0"], "at least 1"), (["--set", "decorrelation.lr=1"], "decorrelation.lr=1"),
    (["--set", "decorrelation.max_samples = 9"], "--samples"),
    (["--set", "decorrelation.preset=mine"], "--lr"), (["--decorr", "/no/such/program"], "/no/such/program"),
    (["--sed", "1"], "--sed")])
def test_wrong_usage(tmp_path, config, change, needle):
    result = cost_table(config, "--out", tmp_path / "out", "--decorr", PROGRAM, *change)
    check_script_error(result, 2, needle)
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_configuration_that_is_not_there(tmp_path):
    check_script_error(cost_table(tmp_path / "absent.toml", "--out", tmp_path / "out"), 2, "absent.toml")


def test_wrong_decorrelation_settings_are_refused_before_anything_is_trained(tmp_path, config):
    result = cost_table(config, "--out", tmp_path / "out", "--decorr", PROGRAM, "--pairs", "1:5",
                        "--set", "decorrelation.dampin=1")
    check_script_error(result, 1, "exit code 2", "k1-s5")
    assert "dampin" in result.stderr.splitlines()[0]
    assert not (tmp_path / "out").exists()
