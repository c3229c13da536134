"""decorr report: its files, and what it refuses."""

import csv
import os
import shutil

import pytest
from support import (check_error, check_only_error, check_success, decorr, kill, rows, snapshot,
                     start_until_checkpoint, train, wait_for, write_config, write_data)

FIGURES = ["accuracy_by_epoch", "accuracy_by_seconds", "energy", "loss"]


@pytest.fixture(scope="module", name="tree")
def trained(tmp_path_factory):
    """Two methods, two seeds each."""
    folder = tmp_path_factory.mktemp("report")
    data = write_data(folder / "data")
    for method in ("none", "norm-preserving"):
        config = write_config(folder / f"{method}.toml", data, decorrelation={"method": method})
        for seed in (1, 2):
            check_success(train(config, folder / "runs" / f"{method}-{seed}",
                                "--set", f"seed={seed}"))
    return folder


def report(tree, *arguments, **options):
    return decorr("report", tree / "runs", *arguments, **options)


def test_page_names_groups_and_counts_seeds(tree, tmp_path):
    result = check_success(report(tree, "-o", tmp_path / "page.html", "--title", "A <b> & c"))
    assert result.stderr == ""
    assert result.stdout.splitlines() == ["none: 2 runs", "norm-preserving: 2 runs",
                                          f"4 runs in {tmp_path / 'page.html'}"]
    page = (tmp_path / "page.html").read_text()
    assert "<h1>A &lt;b&gt; &amp; c</h1>" in page
    assert "4 runs in 2 groups on fashion-mnist" in page
    assert "2 of 2 seeds" in page
    assert "Read this first" not in page
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_default_name_and_same_bytes_again(tree, tmp_path):
    check_success(report(tree, cwd=tmp_path))
    first = (tmp_path / "report.html").read_bytes()
    check_success(report(tree, cwd=tmp_path))  # over the first
    assert (tmp_path / "report.html").read_bytes() == first
    before = snapshot(tree)
    check_success(report(tree, cwd=tmp_path))
    assert snapshot(tree) == before  # the runs are only read


def test_tables(tree, tmp_path):
    check_success(report(tree, "-o", tmp_path / "page.html", "--csv", tmp_path / "csv",
                         "--target", "0.2,99.99%"))
    tables = {path.stem: list(csv.DictReader(path.open(newline="")))
              for path in (tmp_path / "csv").iterdir()}
    assert sorted(tables) == ["curves", "final", "layers", "time_to_accuracy"]
    assert len(tables["curves"]) == 2 * 2 * 2
    assert len(tables["layers"]) == 2 * 2 * 2 * 2
    assert [row["seeds"] for row in tables["final"]] == ["2", "2"]
    times = tables["time_to_accuracy"]
    assert [float(row["target"]) for row in times] == pytest.approx([0.2, 0.2, 0.9999, 0.9999])
    assert times[1]["baseline"] == "none"
    assert times[3]["reached"] == "0" and times[3]["seconds"] == ""


def test_figures_are_the_same_again(tree, tmp_path):
    def draw(name):
        folder = tmp_path / name
        check_success(report(tree, "-o", tmp_path / "page.html", "--svg", folder / "svg",
                             "--png", folder / "png"))
        return snapshot(folder)

    first = draw("first")
    assert sorted(first) == ([f"png/{name}.png" for name in FIGURES] +
                             [f"svg/{name}.svg" for name in FIGURES])
    for name, content in first.items():
        assert content.startswith(b"\x89PNG" if name.startswith("png") else b"<?xml"), name
    assert b"<dc:date>" not in first["svg/loss.svg"]
    assert draw("second") == first


def test_grouping_by_keys(tree, tmp_path):
    result = check_success(report(tree, "-o", tmp_path / "page.html", "--group-by",
                                  "learning.rule,model.type"))
    assert "4 runs" in result.stdout.splitlines()[0]
    assert "decorr: warning: " in result.stderr and "decorrelation.method" in result.stderr
    check_only_error(report(tree, "--group-by", "learning.rul", cwd=tmp_path), 2,
                     "learning.rul", "--group-by", "did you mean \"learning.rule\"?")


def test_run_that_was_killed_and_one_that_runs(tree, tmp_path):
    config = write_config(tmp_path / "long.toml", tree / "data", train={"epochs": 100000})
    run = tmp_path / "runs" / "long"
    process = start_until_checkpoint(config, run)
    wait_for(lambda: (run / "metrics.jsonl").exists(), process, "the first epoch")
    result = check_success(decorr("report", run, "-o", tmp_path / "page.html"))
    assert "the run is still running after " in result.stderr
    kill(process)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch":')
    result = check_success(decorr("report", run, "-o", tmp_path / "page.html"))
    assert "decorr: warning: long, seed 42: the run was killed after " in result.stderr
    assert "Read this first" in (tmp_path / "page.html").read_text()


def test_mixed_data_sets_and_duplicates_are_told(tree, tmp_path):
    shutil.copytree(tree / "runs", tmp_path / "runs")
    shutil.copytree(tree / "runs" / "none-1", tmp_path / "runs" / "again")
    config = tmp_path / "runs" / "none-2" / "config.toml"
    config.write_text(config.read_text().replace('"fashion-mnist"', '"mnist"'))
    result = check_success(report(tmp_path, "-o", tmp_path / "page.html"))
    assert "different data sets" in result.stderr
    assert "has the settings and the seed of" in result.stderr
    page = (tmp_path / "page.html").read_text()
    assert "different data sets" in page and "has the settings and the seed of" in page


def test_bad_input_is_exit_2_and_writes_nothing(tree, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    check_only_error(decorr("report", cwd=out), 2, "RUN")
    check_only_error(decorr("report", "nowhere", cwd=out), 2, "no such folder, nowhere")
    check_only_error(decorr("report", tree / "data", cwd=out), 2, "not a run directory")
    check_only_error(report(tree, "-o", ".", cwd=out), 2, "--out")
    check_only_error(report(tree, "--target", "high", cwd=out), 2, "no accuracy: \"high\"")
    (tmp_path / "file").touch()
    check_only_error(report(tree, "--csv", tmp_path / "file", cwd=out), 2, "not a folder", "--csv")
    assert list(out.iterdir()) == []


def test_final_runs_of_a_sweep_are_called_what_its_variants_are(tree, tmp_path):
    for method, name in (("none", "plain-optimizer.lr=0.0003"), ("norm-preserving", "plain-dec")):
        for seed in (1, 2):
            shutil.copytree(tree / "runs" / f"{method}-{seed}",
                            tmp_path / "final" / f"{name}-seed={seed}")
    result = check_success(decorr("report", tmp_path / "final", "-o", tmp_path / "page.html"))
    assert result.stdout.splitlines()[:2] == ["plain-dec: 2 runs", "plain: 2 runs"]
    assert result.stderr == ""


def test_a_seed_that_diverges_at_once_counts(tree, tmp_path):
    shutil.copytree(tree / "runs", tmp_path / "runs")
    run = tmp_path / "runs" / "none-3"
    wild = write_config(tmp_path / "wild.toml", tree / "data", optimizer={"lr": 1e30})
    check_error(train(wild, run), 3)
    assert rows(run) == []
    config = (tmp_path / "runs" / "none-1" / "config.toml").read_text()  # as if it were of these
    (run / "config.toml").write_text(config.replace("seed = 1\n", "seed = 3\n", 1))
    result = check_success(report(tmp_path, "-o", tmp_path / "page.html", "--csv", tmp_path / "csv",
                                  "--target", "0.01"))
    assert "none, seed 3: the run diverged after 0 of 2 epochs" in result.stderr
    page = (tmp_path / "page.html").read_text()
    assert "3, 1 diverged" in page and "2 of 3 seeds" in page
    with (tmp_path / "csv" / "final.csv").open(newline="") as file:
        final = {row["group"]: row for row in csv.DictReader(file)}
    assert [final["none"][key] for key in ("seeds", "diverged", "unfinished")] == ["3", "1", "0"]


def test_damaged_rows_are_named(tree, tmp_path):
    run = tmp_path / "none-1"
    shutil.copytree(tree / "runs" / "none-1", run)
    metrics = run / "metrics.jsonl"
    rows = metrics.read_text()
    metrics.write_text(rows.replace('"test_acc"', '"best_acc"', 1))
    check_only_error(decorr("report", run, cwd=tmp_path), 2, f"{metrics}:1", "\"test_acc\"")
    metrics.write_text(rows.replace("{", "", 1))
    check_only_error(decorr("report", run, cwd=tmp_path), 2, f"{metrics}:1")
    assert not (tmp_path / "report.html").exists()


def test_output_that_cannot_be_written_is_exit_1(tree, tmp_path):
    check_only_error(report(tree, "-o", tmp_path / "nowhere" / "page.html"), 1, "cannot write")
    (tmp_path / "file").touch()
    check_only_error(report(tree, "-o", tmp_path / "page.html", "--csv", tmp_path / "file/csv"),
                     1, "cannot create the folder", "--csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_says_which_package_is_missing(tree, tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('none here')\n")
    environment = dict(os.environ, PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1")
    check_error(report(tree, "-o", tmp_path / "page.html", "--svg", tmp_path / "svg",
                       env=environment), 1, "matplotlib", "install python3-matplotlib")
    assert not (tmp_path / "svg").exists() and not (tmp_path / "page.html").exists()
