"""Runs that start from the weights of another run."""

import json
import shutil

import pytest
from support import check_only_error, check_success, decorr, final_tensors, rows, train


def scored(run, *arguments) -> dict:
    return json.loads(check_success(decorr("eval", run, "--json", *arguments)).stdout)


@pytest.fixture
def plain(tmp_path, config):
    """A trained run without decorrelation."""
    check_success(train(config, tmp_path / "plain", "--set", "decorrelation.method=none"))
    return tmp_path / "plain"


def test_starts_with_the_accuracy_of_the_old_run(tmp_path, config, plain):
    run = tmp_path / "warm"
    check_success(train(config, run, "--set", f"train.initial_weights={plain}"))
    end, start = scored(plain), scored(run, "--checkpoint", "0")
    assert start["acc"] == end["acc"]
    assert start["loss"] == pytest.approx(end["loss"], rel=1e-5)
    assert rows(run)[-1]["test_loss"] < end["loss"]
    assert f'initial_weights = "{plain}"' in (run / "config.toml").read_text()
    # And what was decorrelated is folded for a start from there.
    again = tmp_path / "again"
    checkpoint = run / "checkpoints" / "step-0000000010.safetensors"
    check_success(train(config, again, "--set", f"train.initial_weights={checkpoint}",
                        "--set", "decorrelation.method=zca"))
    assert scored(again, "--checkpoint", "0")["loss"] == pytest.approx(scored(run)["loss"], rel=1e-5)


def test_resuming_wins(tmp_path, config, plain):
    warm = ("--set", f"train.initial_weights={plain}")
    check_success(train(config, tmp_path / "whole", *warm))
    run = tmp_path / "run"
    check_success(train(config, run, *warm, "--set", "train.epochs=1"))
    shutil.move(plain, tmp_path / "gone")
    check_success(train(config, run, *warm, "--resume"))
    assert final_tensors(run) == final_tensors(tmp_path / "whole")


def test_what_does_not_fit_is_refused(tmp_path, config, plain):
    run = tmp_path / "run"
    warm = ("--set", f"train.initial_weights={plain}")
    check_only_error(train(config, run, *warm, "--set", "model.hidden=[17]"), 2, str(plain),
                     "layers.0.bias is [16] and should be [17]")
    check_only_error(train(config, run, "--set", f"train.initial_weights={tmp_path / 'no'}"), 2,
                     "train.initial_weights", str(tmp_path / "no"))
    assert not run.exists()
