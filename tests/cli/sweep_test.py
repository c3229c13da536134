"""Sweeps: grids of runs, their resumption after kills and interrupts, and the choice of the best."""

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support import (check_error, check_only_error, check_success, decorr, finish, kill, rows,
                     snapshot, start, untimed, wait_for, write_config)

GRID = """
[sweep]
metric = "train_loss"
seeds = [1, 2]
[grid]
optimizer.lr = [1e-3, 1e-2]
[[variant]]
name = "plain"
set = { decorrelation.method = "none" }
[[variant]]
name = "decorrelated"
grid = { decorrelation.lr = [1e-3, 1e-2] }
[final]
seeds = [7, 8]
set = { train.epochs = 3 }
metric = "test_acc"
"""
LR_GRID = """
[sweep]
metric = "train_loss"
[grid]
optimizer.lr = [1e-4, 1e-3, 1e-2]
"""


def write_sweep(folder: Path, data: Path, text: str, **tables) -> Path:
    write_config(folder / "base.toml", data, **{"train": {"epochs": 2}, **tables})
    path = folder / "s.toml"
    path.write_text('config = "base.toml"\n' + text)
    return path


def sweep(path: Path, out: Path, *arguments, **options) -> subprocess.CompletedProcess:
    return decorr("sweep", path, "--out", out, *arguments, **options)


def results(out: Path, phase: str = "search") -> dict[str, dict]:
    """The runs of a sweep by their names, without what depends on the clock."""
    runs = json.loads((out / "results.json").read_text())["runs"]
    return {run.pop("name"): {key: value for key, value in run.items() if key != "seconds"}
            for run in runs if run["phase"] == phase}


def check_same_sweep(out: Path, reference: Path) -> None:
    for phase in ("search", "final"):
        assert results(out, phase) == results(reference, phase)
    assert (out / "table.md").read_bytes() == (reference / "table.md").read_bytes()
    assert {path.name for path in out.iterdir()} == {path.name for path in reference.iterdir()}
    for run in sorted(reference.glob("*/*/")):
        assert untimed(out / run.relative_to(reference)) == untimed(run)
    assert not list(out.rglob("*.decorr-tmp"))


def test_grid_variants_and_final_runs(tmp_path, data):
    path, out = write_sweep(tmp_path, data, GRID), tmp_path / "out"
    result = check_success(sweep(path, out, "--jobs", 2))
    search = results(out)
    assert len(search) == 2 * 2 + 2 * 2 * 2
    assert {run["status"] for run in search.values()} == {"completed"}
    for name, run in search.items():
        folder = out / "runs" / name
        assert run["value"] == rows(folder)[-1]["train_loss"]
        assert len(list((folder / "checkpoints").glob("step-*.json"))) <= 2  # newest and best
    # The best of each variant by the mean over its seeds, by hand.
    best = {}
    for variant in ("plain", "decorrelated"):
        means = {}
        for run in search.values():
            if run["variant"] == variant:
                means.setdefault(json.dumps(run["settings"]), []).append(run["value"])
        best[variant] = json.loads(min(means, key=lambda key: sum(means[key])))
    last = results(out, "final")
    assert len(last) == 4
    for run in last.values():
        assert run["settings"] == best[run["variant"]] and run["epochs"] == 3
    groups = json.loads((out / "results.json").read_text())["groups"]
    final = [group for group in groups if group["phase"] == "final"]
    for group in final:
        values = [run["value"] for run in last.values()
                  if run["variant"] == group["group"]["variant"]]
        assert group["mean"] == pytest.approx(sum(values) / 2)
        assert group["runs"] == 2 and group["standard_error"] is not None
    lines = list(csv.DictReader((out / "results.csv").open()))
    assert len(lines) == 16 and lines[0]["optimizer.lr"] == "0.001"
    table = (out / "table.md").read_text()
    assert "test_acc [%]" in table and " ± " in table and "of its grid" in table
    assert "[12/12]" in result.stdout and "[4/4]" in result.stdout
    assert table.split("All settings")[0].strip().splitlines()[0] in result.stdout
    assert not list(out.rglob("*.log")) and not list(out.rglob("*.decorr-tmp"))
    # Once more: nothing is redone.
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns)
              for file in out.glob("*/*/**/*") if file.is_file()}
    again = check_success(sweep(path, out))
    assert "12 done before" in again.stdout and "4 done before" in again.stdout
    assert before == {file: (file.read_bytes(), file.stat().st_mtime_ns)
                      for file in out.glob("*/*/**/*") if file.is_file()}


def test_jobs_do_not_change_results(tmp_path, data):
    path = write_sweep(tmp_path, data, LR_GRID)
    check_success(sweep(path, tmp_path / "one", "--jobs", 1))
    check_success(sweep(path, tmp_path / "three", "--jobs", 3))
    check_same_sweep(tmp_path / "three", tmp_path / "one")


def test_random_search(tmp_path, data):
    path = write_sweep(tmp_path, data, """
[sweep]
method = "random"
trials = 3
seed = 4
metric = "test_acc"
at = "best"
[random]
optimizer.lr = { log_uniform = [1e-4, 1e-1] }
train.batch_size = { int_uniform = [32, 64] }
""", train={"epochs": 1})
    check_success(sweep(path, tmp_path / "a"))
    runs = results(tmp_path / "a")
    assert len(runs) == 3
    for run in runs.values():
        assert 1e-4 <= run["settings"]["optimizer.lr"] <= 1e-1
        assert 32 <= run["settings"]["train.batch_size"] <= 64
    # More trials keep those that there are.
    path.write_text(path.read_text().replace("trials = 3", "trials = 4"))
    assert "3 done before" in check_success(sweep(path, tmp_path / "a")).stdout
    assert runs.items() <= results(tmp_path / "a").items()


def test_a_sweep_goes_on_after_a_kill(tmp_path, data):
    path = write_sweep(tmp_path, data, LR_GRID + "[final]\nseeds = [7]\n", train={"epochs": 4})
    out = tmp_path / "out"
    check_success(sweep(path, tmp_path / "reference"))
    finished = {}
    for kills in (0, 1):
        process = start("sweep", path, "--out", out, "--jobs", 1)
        wait_for(lambda: len(list(out.glob("runs/*/summary.json"))) > kills, process, "some runs")
        kill(process)
        for summary in out.glob("runs/*/summary.json"):
            if json.loads(summary.read_text())["status"] == "completed":
                for file in summary.parent.rglob("*"):
                    finished[file] = file.stat().st_mtime_ns
    check_success(sweep(path, out, "--jobs", 2))
    for file, time_ns in finished.items():
        assert file.stat().st_mtime_ns == time_ns, file
    assert len(finished) > 10
    check_same_sweep(out, tmp_path / "reference")


def children_of(out: Path) -> list[int]:
    """Processes that train a run of the sweep in `out`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "train\0" in command and str(out / "runs") in command:
            found.append(int(folder.name))
    return found


def start_long(tmp_path, data, out, *arguments) -> subprocess.Popen:
    """A sweep of runs without an end, each of which has begun."""
    path = write_sweep(tmp_path, data, LR_GRID, train={"epochs": 1000000})
    process = start("sweep", path, "--out", out, "--jobs", 2, *arguments)
    wait_for(lambda: len(list(out.glob("runs/*/metrics.jsonl"))) == 2, process, "two runs")
    wait_for(lambda: all(len(rows(file.parent)) > 1 for file in out.glob("runs/*/metrics.jsonl")),
             process, "their epochs")
    return process


def test_a_killed_sweep_leaves_no_processes(tmp_path, data):
    out = tmp_path / "out"
    process = start_long(tmp_path, data, out)
    children = children_of(out)
    assert len(children) == 2
    kill(process)
    deadline = time.monotonic() + 60
    while children_of(out):
        assert time.monotonic() < deadline, "they go on"
        time.sleep(0.02)
    for summary in (out / "runs").glob("*/summary.json"):
        assert json.loads(summary.read_text())["status"] == "interrupted"
    assert len(list((out / "runs").glob("*/summary.json"))) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_interrupts_write_checkpoints(tmp_path, data, number):
    out = tmp_path / "out"
    process = start_long(tmp_path, data, out, "--threads", 2)
    process.send_signal(number)
    result = finish(process)
    assert result.returncode == 130, result
    assert result.stderr == ""
    assert (f"go on with: decorr sweep {tmp_path / 's.toml'} --out {out} --jobs 2 --threads 2\n"
            in result.stdout)
    assert not children_of(out)
    statuses = [json.loads(file.read_text())["status"] for file in out.glob("runs/*/summary.json")]
    assert statuses == ["interrupted", "interrupted"]
    assert {run["status"] for run in results(out).values()} == {"pending"}


def test_ctrl_c_on_a_terminal_reaches_the_runs_once(tmp_path, data):
    # A terminal sends the signal to the whole process group; a second one would kill the runs.
    out = tmp_path / "out"
    path = write_sweep(tmp_path, data, LR_GRID, train={"epochs": 1000000})
    process = start("sweep", path, "--out", out, "--jobs", 1, start_new_session=True)
    wait_for(lambda: any(len(rows(file.parent)) > 1 for file in out.glob("runs/*/metrics.jsonl")),
             process, "some epochs")
    os.killpg(process.pid, signal.SIGINT)
    result = finish(process)
    assert result.returncode == 130, result
    (summary,) = out.glob("runs/*/summary.json")
    assert json.loads(summary.read_text())["status"] == "interrupted"


def test_diverged_runs_are_listed_and_never_best(tmp_path, data):
    path = write_sweep(tmp_path, data, LR_GRID.replace("1e-4", "1e30"),
                       optimizer={"type": "sgd", "lr": None})
    out = tmp_path / "out"
    result = check_success(sweep(path, out))
    runs = results(out)
    assert runs["optimizer.lr=1e+30-seed=42"]["status"] == "diverged"
    assert runs["optimizer.lr=1e+30-seed=42"]["value"] is None
    (group,) = json.loads((out / "results.json").read_text())["groups"]
    assert group["best"] in ("optimizer.lr=0.001", "optimizer.lr=0.01")
    assert "diverged" in result.stdout
    assert "1 of 1 diverged" in (out / "table.md").read_text()
    assert "diverged" in (out / "runs" / "optimizer.lr=1e+30-seed=42.log").read_text()
    assert "3 done before" in check_success(sweep(path, out)).stdout


def test_nothing_but_diverged_runs_is_exit_3(tmp_path, data):
    path = write_sweep(tmp_path, data, '[sweep]\nmetric = "train_loss"\n',
                       optimizer={"type": "sgd", "lr": 1e30})
    check_error(sweep(path, tmp_path / "out"), 3, "no setting has a number", str(tmp_path / "out"))


def test_nothing_but_diverged_final_runs_is_exit_3(tmp_path, data):
    path = write_sweep(tmp_path, data, '[sweep]\nmetric = "train_loss"\n'
                       '[final]\nseeds = [1, 2]\nset = { optimizer.lr = 1e30 }\n',
                       optimizer={"type": "sgd"})
    check_error(sweep(path, tmp_path / "out"), 3, "no setting has a number", str(tmp_path / "out"))
    assert "2 of 2 diverged" in (tmp_path / "out" / "table.md").read_text()


STOP = """
[sweep]
metric = "train_loss"
[grid]
optimizer.lr = [1e-2, 8e-3, 1e-6, 9e-3]
[stop]
grace_epochs = 2
min_runs = 2
"""


def test_hopeless_runs_are_stopped(tmp_path, data):
    path = write_sweep(tmp_path, data, STOP, train={"epochs": 12})
    out = tmp_path / "out"
    result = check_success(sweep(path, out, "--jobs", 1))
    runs = results(out)
    hopeless = runs["optimizer.lr=1e-06-seed=42"]
    assert hopeless["status"] == "stopped" and hopeless["epochs"] == 2
    assert hopeless["value"] == rows(out / "runs" / "optimizer.lr=1e-06-seed=42")[1]["train_loss"]
    assert runs["optimizer.lr=0.01-seed=42"]["status"] == "completed"
    assert "stopped after epoch 2" in result.stdout
    assert "1 of 1 stopped" in (out / "table.md").read_text()
    # The decision is kept.
    assert "4 done before" in check_success(sweep(path, out)).stdout
    assert results(out) == runs


def test_decisions_survive_a_kill(tmp_path, data):
    path = write_sweep(tmp_path, data, STOP, train={"epochs": 12})
    check_success(sweep(path, tmp_path / "reference", "--jobs", 1))
    out = tmp_path / "out"
    process = start("sweep", path, "--out", out, "--jobs", 1)
    wait_for(lambda: (out / "state.json").exists()
             and '"stopped_after": 2' in (out / "state.json").read_text(), process, "a decision")
    kill(process)
    check_success(sweep(path, out, "--jobs", 1))
    assert results(out) == results(tmp_path / "reference")


def test_a_failing_run_ends_the_sweep(tmp_path, data):
    path = write_sweep(tmp_path, data, '[sweep]\nmetric = "train_loss"\n[grid]\n'
                       'data.validation = [10, 100000, 20]\n')
    out = tmp_path / "out"
    check_error(sweep(path, out, "--jobs", 1), 1, "run data.validation=100000-seed=42 failed: ",
                "data.validation", str(out / "runs" / "data.validation=100000-seed=42.log"))
    assert [run["status"] for run in results(out).values()] == ["completed", "pending", "pending"]


def test_errors_are_found_before_anything_is_written(tmp_path, data):
    out = tmp_path / "out"

    def refused(text: str, *needles: str) -> None:
        path = write_sweep(tmp_path, data, text)
        check_only_error(sweep(path, out), 2, *needles)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["base.toml", "s.toml"]

    refused(LR_GRID.replace("optimizer.lr", "optimizer.rl"), 'unknown key "optimizer.rl"',
            "s.toml:6", '"optimizer.lr"?')
    refused(LR_GRID.replace("train_loss", "trian_loss"), "s.toml:4", '"train_loss"?')
    refused(LR_GRID.replace("train_loss", "validation_loss"), "data.validation is 0")
    refused(LR_GRID.replace("1e-3", '"fast"'), "must be a float", "s.toml:6")
    refused(LR_GRID.replace("[1e-4, 1e-3, 1e-2]", "[]"), "has no values", "s.toml:6")
    refused(LR_GRID + '[set]\ndata.root = "/nowhere"\n', "/nowhere")
    refused(LR_GRID + '[[variant]]\nname = "plain"\nset = { decorrelation.method = "none", '
            'decorrelation.lr = 0.1 }\n', "decorrelation.lr", 'variant "plain"', "s.toml:9")
    line = check_only_error(sweep(tmp_path / "none.toml", out), 2, "cannot read the file", "none.toml")
    assert "configuration" not in line
    (tmp_path / "base.toml").unlink()
    check_only_error(sweep(tmp_path / "s.toml", out, "--dry-run"), 2, "base.toml")
    assert not out.exists()


def test_dry_run_writes_nothing(tmp_path, data):
    path = write_sweep(tmp_path, data, GRID)
    before = snapshot(tmp_path)
    text = check_success(decorr("sweep", path, "--dry-run", cwd=tmp_path)).stdout
    assert snapshot(tmp_path) == before
    assert "runs 12," in text and "plain-optimizer.lr=0.001-seed=1" in text and "seeds 2, runs 4" in text
    assert "runs/s" in text


def test_another_sweep_is_refused(tmp_path, data):
    path, out = write_sweep(tmp_path, data, LR_GRID, train={"epochs": 1}), tmp_path / "out"
    check_success(sweep(path, out))
    before = snapshot(out)
    text = path.read_text()
    path.write_text(text.replace("train_loss", "test_acc"))
    check_only_error(sweep(path, out), 2, 'metric = "train_loss"', 'metric = "test_acc"', str(out))
    path.write_text(text.replace("1e-4", "2e-4"))
    check_only_error(sweep(path, out), 2, "optimizer.lr=0.0001")
    path.write_text(text + "[set]\ntrain.epochs = 5\n")
    check_only_error(sweep(path, out), 2, "train.epochs = 1", "train.epochs = 5")
    path.write_text(text)
    check_only_error(sweep(path, out, "--threads", 2), 2, "train.threads = 1", "train.threads = 2")
    assert snapshot(out) == before
    path.write_text(text.replace("1e-4", "1e-4, 2e-2"))
    assert "3 done before" in check_success(sweep(path, out)).stdout
    assert len(results(out)) == 4


def test_a_sweep_goes_on_with_the_threads_it_began_with(tmp_path, data):
    path = write_sweep(tmp_path, data, LR_GRID, train={"epochs": 1, "threads": 0})
    out = tmp_path / "out"
    check_success(sweep(path, out, "--jobs", 3))
    path.write_text(path.read_text().replace("1e-4", "1e-4, 2e-4"))
    check_success(sweep(path, out))
    threads = {line for file in out.glob("runs/*/config.toml")
               for line in file.read_text().splitlines() if line.startswith("threads")}
    assert len(threads) == 1 and threads != {"threads = 0"}


def test_the_threads_that_were_asked_for_are_kept(tmp_path, data):
    path = write_sweep(tmp_path, data, LR_GRID, train={"epochs": 1, "threads": 2})
    out = tmp_path / "out"
    check_success(sweep(path, out, "--threads", 1))
    assert "3 done before" in check_success(sweep(path, out)).stdout
    text = path.read_text()
    path.write_text(text.replace("1e-4", "1e-4, 2e-4"))
    assert "3 done before" in check_success(sweep(path, out)).stdout
    configs = list(out.glob("runs/*/config.toml"))
    assert len(configs) == 4
    assert all("threads = 1\n" in config.read_text() for config in configs)
    path.write_text(text + "train.threads = [1, 2]\n")
    check_only_error(sweep(path, out), 2, "varies train.threads", "began with --threads")


def test_old_final_runs_move_out_of_the_way(tmp_path, data):
    text = LR_GRID + "[final]\nseeds = [7, 8]\n"
    path, out = write_sweep(tmp_path, data, text, train={"epochs": 1}), tmp_path / "out"
    check_success(sweep(path, out))
    runs = {file.name: snapshot(file) for file in out.glob("final/*")}
    assert len(runs) == 2
    text = path.read_text()
    path.write_text(text.replace("[7, 8]", "[7]"))
    assert f"moved to {out / 'final-old'}" in check_success(sweep(path, out)).stdout
    assert [file.name for file in out.glob("final/*")] == [name for name in runs if "=7" in name]
    assert [file.name for file in out.glob("final-old/*")] == [name for name in runs if "=8" in name]
    assert len(results(out, "final")) == 1
    path.write_text(text)
    again = check_success(sweep(path, out)).stdout
    assert f"came back from {out / 'final-old'}" in again and "2 done before" in again
    assert {file.name: snapshot(file) for file in out.glob("final/*")} == runs


def test_other_folders_are_left_alone(tmp_path, data):
    path, out = write_sweep(tmp_path, data, LR_GRID), tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    check_only_error(sweep(path, out), 2, str(out), "--out")
    assert snapshot(out) == {"thesis.txt": b"precious"}


def test_two_processes_cannot_sweep_in_one_folder(tmp_path, data):
    out = tmp_path / "out"
    process = start_long(tmp_path, data, out)
    try:
        check_only_error(sweep(tmp_path / "s.toml", out), 2, "in use by another process", str(out))
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        assert finish(process).returncode == 130


def test_quiet_prints_nothing(tmp_path, data):
    path = write_sweep(tmp_path, data, '[sweep]\nmetric = "train_loss"\n', train={"epochs": 1})
    result = check_success(sweep(path, tmp_path / "out", "--quiet"))
    assert result.stdout == "" and result.stderr == ""
    assert "train_loss" in (tmp_path / "out" / "table.md").read_text()
