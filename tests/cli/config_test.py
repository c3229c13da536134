"""Configurations that cannot be used: exit code 2, one line that says where, nothing written."""

import subprocess
from pathlib import Path

import pytest
from support import (PROGRAM, check_only_error, check_success, final_tensors, train,
                     write_config)


@pytest.mark.parametrize("line, needles", [
    ('[optimizer]\nlr = "fast"', ["optimizer.lr", ":2"]),
    ("[optimizer]\nlr = nan", ["optimizer.lr", ":2", "nan"]),
    ("[optimizer]\nlr = 0.0", ["optimizer.lr", ":2"]),
    ("[optimizer]\n\nlearning_rte = 0.1", ["learning_rte", ":3"]),
    ("[optimiser]\nlr = 0.1", ["optimiser", ":1", "optimizer"]),
    ("[train]\nepoch = 3", ["train.epoch", ":2", "train.epochs"]),
    ("[model]\nhidden = [16, -3]", ["model.hidden", ":2", "-3"]),
    ("[model]\nhidden = 16", ["model.hidden", ":2"]),
    ("[model]\nactivation = \"rleu\"", ["model.activation", ":2", "relu"]),
    ("[decorrelation]\nmethod = \"copy\"", ["decorrelation.method", ":2", "copi"]),
    ("[train]\nbatch_size = 0", ["train.batch_size", ":2", "0"]),
    ("seed = -1", ["seed", ":1", "-1"]),
    ("[train\nepochs = 1", [":1"]),
    ("[data]\nname = \"fashion\"", ["fashion-mnist"]),
])
def test_names_the_line_and_writes_nothing(tmp_path, line, needles):
    config = tmp_path / "bad.toml"
    config.write_text(line + "\n")
    place = "bad.toml" if needles[0] != "fashion-mnist" else ""
    check_only_error(train(config, tmp_path / "run"), 2, place, *needles)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.toml"]


@pytest.mark.parametrize("override, needles", [
    ("optimizer.lr=quick", ["optimizer.lr", "quick"]),
    ("optimizer.lr=nan", ["optimizer.lr"]),
    ("train.epohcs=1", ["train.epohcs", "train.epochs"]),
    ("model.hidden=[-1]", ["model.hidden", "-1"]),
    ("epochs", ["epochs"]),
    ("train.epochs=", ["train.epochs"]),
])
def test_overrides_are_checked(tmp_path, config, override, needles):
    run = tmp_path / "run"
    check_only_error(train(config, run, "--set", override), 2, "--set", *needles)
    assert not run.exists()


def test_a_missing_config_is_bad_usage(tmp_path):
    check_only_error(train(tmp_path / "none.toml", tmp_path / "run"), 2, "none.toml")
    assert not (tmp_path / "run").exists()


def test_a_pattern_that_selects_no_layer_is_an_error(tmp_path, config):
    config.write_text(config.read_text() +
                      '[[decorrelation.layers]]\npattern = "conv*"\nmethod = "none"\n')
    check_only_error(train(config, tmp_path / "run"), 2, "conv*")
    assert not (tmp_path / "run").exists()


def test_the_resolved_config_gives_the_same_run(tmp_path, data):
    config = write_config(tmp_path / "a.toml", data, train={"epochs": 1})
    check_success(train(config, tmp_path / "a", "--set", "model.hidden=[8]", "--set", "seed=7"))
    check_success(train(tmp_path / "a" / "config.toml", tmp_path / "b"))
    resolved = (tmp_path / "a" / "config.toml").read_text()
    assert (tmp_path / "b" / "config.toml").read_text() == resolved
    assert "seed = 7" in resolved
    assert final_tensors(tmp_path / "a") == final_tensors(tmp_path / "b")


def test_the_documentation_lists_every_key_with_its_default():
    script = Path(__file__).resolve().parents[2] / "scripts" / "document_config.py"
    result = subprocess.run(["/usr/bin/python3", script, "--decorr", PROGRAM, "--check"], text=True,
                            capture_output=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
