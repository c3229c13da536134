"""scripts/compare_runs.py on runs written by hand."""

import json
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "compare_runs.py"


def write_run(folder: Path, accuracies: list[float], method: str, lr: float = 0.001) -> Path:
    folder.mkdir()
    rows = [{"epoch": i + 1, "test_acc": value, "train_seconds": 2.0}
            for i, value in enumerate(accuracies)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "config.toml").write_text(
        f'seed = 1\n[decorrelation]\nmethod = "{method}"\n[optimizer]\nlr = {lr}\n')
    return folder


def compare(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(["/usr/bin/python3", SCRIPT, *map(str, arguments)], text=True,
                          capture_output=True, check=False, timeout=120)


@pytest.fixture
def plain(tmp_path):
    return write_run(tmp_path / "plain", [0.80, 0.85, 0.86], "none")


def test_table_plot_and_verdict(tmp_path, plain):
    other = write_run(tmp_path / "decorrelated", [0.84, 0.87, 0.88], "norm-preserving")
    result = compare(plain, other, "--output", tmp_path / "curves.png")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["epoch", "plain", "decorrelated"]
    assert lines[3].split() == ["1", "80.00", "%", "84.00", "%"]
    assert "after epoch 3, decorrelated is better: 88.00 % against 86.00 %" in result.stdout
    assert "reaches the best of plain (86.00 %) in epoch 2" in result.stdout
    assert "differ" not in result.stdout
    assert lines[-1] == f"plot: {tmp_path / 'curves.png'}"
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_says_when_the_plain_one_is_better(tmp_path, plain):
    other = write_run(tmp_path / "decorrelated", [0.84, 0.85, 0.8599], "norm-preserving")
    result = compare(plain, other, "--no-plot")
    assert "after epoch 3, plain is better: 86.00 % against 85.99 %" in result.stdout
    assert list(tmp_path.glob("*.png")) == []


def test_compares_at_the_last_common_epoch_and_knows_a_draw(tmp_path, plain):
    other = write_run(tmp_path / "decorrelated", [0.84, 0.85], "norm-preserving")
    result = compare(plain, other, "--no-plot")
    assert "after epoch 2, " in result.stdout and "equally good" in result.stdout


def test_tells_unfair_comparisons(tmp_path, plain):
    other = write_run(tmp_path / "decorrelated", [0.9], "norm-preserving", lr=0.01)
    assert "also differ in optimizer.lr" in compare(plain, other, "--no-plot").stdout


def test_folders_of_the_same_name_keep_their_paths(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    runs = [write_run(tmp_path / part / "run", [0.5], "none") for part in ("a", "b")]
    assert str(runs[0]) in compare(*runs, "--no-plot").stdout


def no_run(run):
    run.rename(run.with_name("elsewhere"))


def no_rows(run):
    (run / "metrics.jsonl").write_text("")


def no_metrics(run):
    (run / "metrics.jsonl").unlink()


def not_json(run):
    (run / "metrics.jsonl").write_text('{"epoch": 1}\nnonsense\n')


def no_config(run):
    (run / "config.toml").unlink()


@pytest.mark.parametrize("damage", [no_run, no_rows, no_metrics, not_json, no_config],
                         ids=lambda damage: damage.__name__)
def test_errors_are_one_line(plain, damage):
    damage(plain)
    result = compare(plain, "--no-plot")
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith("compare_runs: error: ") and result.stderr.count("\n") == 1
    assert str(plain) in result.stderr
