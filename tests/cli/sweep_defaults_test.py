"""scripts/sweep_defaults.py with the program, with stand-ins for it, and on runs written by hand."""

import json
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
import support
from support import PROGRAM, check_script_error, run_script, script_command, snapshot, stand_in

sweep = partial(run_script, "sweep_defaults")


def write_run(folder: Path, accuracies: list[float], norms=(1.0, 2.0), status="completed",
              method="norm-preserving", lr=0.001) -> Path:
    """A finished run of as many epochs as there are accuracies; the norms are of its two layers."""
    layers = [{"path": f"layers.{i}", "matrix_norm": norm} for i, norm in enumerate(norms)]
    rows = [{"epoch": i + 1, "test_acc": value, "layers": layers}
            for i, value in enumerate(accuracies)]
    config = f'seed = 1\n[decorrelation]\nmethod = "{method}"\n[optimizer]\nlr = {lr}\n'
    return support.write_run(folder, rows, config, status)


@pytest.fixture
def runs(tmp_path) -> Path:
    out = tmp_path / "out"
    write_run(out / "net-plain-1", [0.80, 0.85], norms=(), method="none")
    write_run(out / "net-plain-2", [0.82, 0.87], norms=(), method="none")
    write_run(out / "net-lam0.1-eta0.002-1", [0.84, 0.86, 0.88], norms=(1.5, 7.25))
    write_run(out / "net-lam0.1-eta3e-05-1", [0.83, 0.86, 0.87])
    write_run(out / "net-lam0-eta0.002-1", [0.5], norms=(1.0, 5e8), status="diverged")
    write_run(out / "other-lam0.1-eta0.002-1", [0.1])
    return out


@pytest.fixture
def named_config(tmp_path, config) -> Path:
    return config.rename(tmp_path / "tiny-net.toml")


def test_trains_the_grid_and_skips_what_is_finished(tmp_path, named_config):
    out = tmp_path / "out"
    arguments = [named_config, "--out", out, "--decorr", PROGRAM, "--damping", "0", "--lr", "3e-5",
                 "--seeds", "7,8", "--jobs", "2", "--set", "train.epochs=3"]
    result = sweep(*arguments)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        f"tiny-net-{middle}-{seed}" for middle in ("lam0-eta3e-05", "plain") for seed in (7, 8)]
    settings = (out / "tiny-net-lam0-eta3e-05-8" / "config.toml").read_text()
    for line in ("seed = 8", "damping = 0.0", "lr = 3e-05", "epochs = 3", "threads = 1"):
        assert line in settings
    assert 'method = "none"' in (out / "tiny-net-plain-7" / "config.toml").read_text()
    lines = result.stdout.splitlines()
    assert lines[0] == "### tiny-net"
    assert lines[2] == "| λ | η | epoch 1 | epoch 3 | largest ‖R‖ | seeds |"
    assert [line.split(" | ")[0] for line in lines[4:6]] == ["| plain", "| 0"]
    rows = [json.loads(line) for seed in (7, 8) for line in
            (out / f"tiny-net-lam0-eta3e-05-{seed}" / "metrics.jsonl").read_text().splitlines()]
    norm = max(layer["matrix_norm"] for row in rows for layer in row["layers"])
    accuracy = 50 * sum(row["test_acc"] for row in rows if row["epoch"] == 3)
    assert f" | {accuracy:.2f} ± " in lines[5] and f" | {norm:.3g} | 2 |" in lines[5]

    before = snapshot(out)
    arguments[arguments.index("--decorr") + 1] = tmp_path / "no-program"
    again = sweep(*arguments)
    assert again.returncode == 0 and again.stdout == result.stdout and again.stderr == ""
    assert snapshot(out) == before


def test_table_of_what_is_there(runs):
    unfinished = write_run(runs / "net-lam0.1-eta0.002-2", [0.84])
    (unfinished / "summary.json").unlink()
    result = sweep("net.toml", "--out", runs, "--table-only")
    assert result.returncode == 0, result.stderr
    assert result.stdout == """\
### net

| λ | η | epoch 1 | epoch 3 | largest ‖R‖ | seeds |
|---|---|---|---|---|---|
| plain | - | 81.00 ± 1.00 | - | - | 2 |
| 0 | 0.002 | diverged | diverged | 5e+08 | 1 |
| 0.1 | 3e-05 | 83.00 | 87.00 | 2 | 1 |
| 0.1 | 0.002 | 84.00 | 88.00 | 7.25 | 1 |

1 unfinished, not in the table.

"""


def test_an_interrupted_run_is_not_finished(runs):
    write_run(runs / "net-lam0.1-eta0.002-2", [0.84], status="interrupted")
    assert "\n1 unfinished" in sweep("net.toml", "--out", runs, "--table-only").stdout


def test_a_norm_that_was_not_finite_does_not_count(runs):
    write_run(runs / "net-lam1-eta0.002-1", [0.84], norms=(None, 3.0))
    result = sweep("net.toml", "--out", runs, "--table-only")
    assert "| 1 | 0.002 | 84.00 | - | 3 | 1 |" in result.stdout, result.stderr


def test_refuses_finished_runs_of_other_settings(tmp_path, named_config):
    out = tmp_path / "out"
    run = write_run(out / "tiny-net-plain-1", [0.8], norms=(), method="none")
    check_script_error(sweep(named_config, "--out", out, "--seeds", "1", "--decorr", PROGRAM), 2,
                       "optimizer.lr = 0.001", "0.003", str(run))
    assert list(out.iterdir()) == [run]


def test_refuses_to_mix_sweeps(runs):
    write_run(runs / "net-lam1-eta0.002-1", [0.84, 0.86, 0.88], lr=0.01)
    check_script_error(sweep("net.toml", "--out", runs, "--table-only"), 2, "optimizer.lr", str(runs))


@pytest.mark.parametrize("name, content", [
    ("metrics.jsonl", "nonsense\n"), ("metrics.jsonl", '{"epoch": 1}\n'), ("metrics.jsonl", "[1]\n"),
    ("summary.json", "{}"), ("summary.json", "[]"), ("config.toml", "nonsense")])
def test_names_the_run_it_cannot_read(runs, name, content):
    run = runs / "net-plain-2"
    (run / name).write_text(content)
    check_script_error(sweep("net.toml", "--out", runs, "--table-only"), 2, str(run))


def test_goes_on_after_divergence_and_stops_at_a_failure(tmp_path, named_config):
    log = tmp_path / "log"
    out = tmp_path / "out"
    arguments = [named_config, "--out", out, "--damping", "1", "--lr", "1,2,3"]
    program = stand_in(tmp_path, f'echo "$@" >> "{log}"\nmkdir -p "{out}"\n'
                                 f'[ $(wc -l < "{log}") -lt 3 ] && exit 3\nexit 1')
    check_script_error(sweep(*arguments, "--decorr", program), 1, "exit code 1", "lam1-eta2-42")
    called = log.read_text().splitlines()
    assert len(called) == 3  # plain and the first of the grid diverged, the second failed
    for word in (f"train {named_config} --quiet --resume --out {out}/tiny-net-lam1-eta1-42",
                 "--set decorrelation.damping=1.0 --set decorrelation.lr=1.0", "--set seed=42",
                 "--set train.threads=1"):
        assert word in called[1]


def test_an_interrupt_ends_the_trainings(tmp_path, named_config):
    note = tmp_path / "note"
    program = stand_in(tmp_path, f'trap \'echo asked >> "{note}"; exit 130\' TERM\n'
                                 f'echo started >> "{note}"\nwhile :; do sleep 0.05; done')
    process = subprocess.Popen(
        script_command("sweep_defaults", named_config, "--out", tmp_path / "out", "--decorr", program,
                       "--jobs", "2"), text=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not note.is_file() or note.read_text().count("started") < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
    assert note.read_text().count("asked") == 2


@pytest.mark.parametrize("change, needle", [
    (["--damping", "-1"], "at least 0"), (["--lr", "0"], "above 0"), (["--lr", "nan"], "finite"),
    (["--lr", "fast"], "fast"), (["--seeds", "1.5"], "1.5"), (["--jobs", "0"], "at least 1"),
    (["--decorr", "/no/such/program"], "/no/such/program"), (["--sed", "1"], "--sed"),
    (["absent.toml"], "absent.toml")])
def test_wrong_usage(tmp_path, named_config, change, needle):
    result = sweep(named_config, "--out", tmp_path / "out", "--decorr", PROGRAM, *change)
    check_script_error(result, 2, needle)
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_configurations_of_one_name_are_refused(tmp_path, named_config):
    other = tmp_path / "other" / named_config.name
    other.parent.mkdir()
    other.write_text(named_config.read_text())
    check_script_error(sweep(named_config, other, "--out", tmp_path / "out"), 2, "same name")


def test_a_table_needs_a_folder(tmp_path):
    check_script_error(sweep("net.toml", "--out", tmp_path / "none", "--table-only"), 2, "none")
