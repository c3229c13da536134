"""Learning rules from the command line."""

import pytest
from support import (check_only_error, check_success, decorr, rows, train, write_config)

RULES = ["backprop", "feedback-alignment", "direct-feedback-alignment", "sign-symmetry",
         "kolen-pollack", "node-perturbation", "weight-perturbation"]
RESNET = {"type": "resnet18", "hidden": None, "width": 2}


def test_info_lists_the_rules():
    assert check_success(decorr("info", "--rules")).stdout.split() == RULES


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("method", ["norm-preserving", "none"])
def test_every_rule_trains_and_is_scored(tmp_path, data, rule, method):
    config = write_config(tmp_path / "config.toml", data, train={"epochs": 4})
    run = tmp_path / "run"
    check_success(train(config, run, "--set", f"learning.rule={rule}",
                        "--set", f"decorrelation.method={method}"))
    losses = [row["train_loss"] for row in rows(run)]
    assert losses[-1] < losses[0]
    check_success(decorr("eval", run))
    check_success(decorr("eval", run, "--checkpoint", "best"))


def test_alignment_goes_into_the_metrics(tmp_path, data):
    config = write_config(tmp_path / "config.toml", data, model={"hidden": [16, 16]},
                          train={"epochs": 1})
    check_success(train(config, tmp_path / "plain", "--set", "learning.rule=feedback-alignment"))
    check_success(train(config, tmp_path / "run", "--set", "learning.rule=feedback-alignment",
                        "--set", "learning.alignment=true"))
    layers = rows(tmp_path / "run")[-1]["layers"]
    assert layers[0]["feedback_angle"] is None  # it reads the data: no error goes further
    assert 0 < layers[1]["feedback_angle"] < 180
    assert 0 < layers[0]["gradient_angle"] < 180
    assert layers[2]["gradient_angle"] == pytest.approx(0, abs=0.1)  # the last layer's is exact
    assert layers[2]["norm_ratio"] == pytest.approx(1)
    # Measuring changes nothing of the run.
    before = rows(tmp_path / "plain")[-1]
    assert "gradient_angle" not in before["layers"][0]
    assert before["train_loss"] == rows(tmp_path / "run")[-1]["train_loss"]
    assert before["test_loss"] == rows(tmp_path / "run")[-1]["test_loss"]


@pytest.mark.parametrize("tables, settings, needles", [
    ({}, ["learning.rule=forward-forward"], ["learning.rule", "feedback-alignment"]),
    ({}, ["learning.rule=node-perturbation", "learning.sigma=0"],
     ["learning.sigma", "greater than 0"]),
    ({}, ["learning.rule=weight-perturbation", "learning.sigma=-1e-3"],
     ["learning.sigma", "greater than 0"]),
    ({}, ["learning.sigma=1e-3"], ["has no effect", "learning.rule"]),
    ({}, ["learning.alignment=true"], ["has no effect", "learning.rule"]),
    ({}, ["learning.rule=sign-symmetry", "learning.feedback_space=input"], ["has no effect"]),
    ({}, ["learning.rule=direct-feedback-alignment", "learning.feedback_init=weights"],
     ["learning.feedback_init", "another shape"]),
    ({"model": RESNET}, ["learning.rule=node-perturbation"],
     ["batch normalization", "model.batch_norm = false"]),
    ({"model": {"type": "transformer", "hidden": None}}, ["learning.rule=node-perturbation"],
     ["transformer", "weight-perturbation"]),
])
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, data, tables, settings,
                                                              needles):
    config = write_config(tmp_path / "config.toml", data, **tables)
    arguments = [part for setting in settings for part in ("--set", setting)]
    check_only_error(train(config, tmp_path / "run", *arguments), 2, *needles)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_another_rule_is_refused(tmp_path, data):
    config = write_config(tmp_path / "config.toml", data, train={"epochs": 1})
    run = tmp_path / "run"
    check_success(train(config, run, "--set", "learning.rule=feedback-alignment"))
    check_only_error(train(config, run, "--resume", "--set", "learning.rule=kolen-pollack"), 2,
                     "another configuration", 'rule = "feedback-alignment"')
    # Even if somebody has changed the run's configuration too.
    resolved = run / "config.toml"
    resolved.write_text(resolved.read_text().replace('"feedback-alignment"', '"kolen-pollack"'))
    check_only_error(decorr("train", "--out", run, "--resume"), 2, "another learning rule",
                     'learning.rule = "feedback-alignment"')
    # The weights alone serve any rule.
    check_success(train(config, tmp_path / "next", "--set", "learning.rule=kolen-pollack", "--set",
                        "learning.feedback_init=weights", "--set", f"train.initial_weights={run}"))
