"""Products in bfloat16 from the command line, on processors that have them and on those that do not."""

import json

import pytest
from support import (check_only_error, check_success, decorr, rows, train, write_config)


def has_bfloat16() -> bool:
    name = next(line for line in decorr("info").stdout.splitlines() if line.startswith("oneDNN"))
    return "bf16" in name or "amx" in name


@pytest.mark.parametrize("key", ["train.precision", "decorrelation.precision"])
def test_bf16_trains_or_is_refused(tmp_path, data, key):
    config = write_config(tmp_path / "config.toml", data, train={"epochs": 3})
    result = train(config, tmp_path / "coarse", "--set", f"{key}=bf16")
    if not has_bfloat16():
        check_only_error(result, 2, "bf16")
        assert not (tmp_path / "coarse").exists()
        return
    check_success(result)
    check_success(train(config, tmp_path / "exact"))
    coarse, exact = rows(tmp_path / "coarse")[-1], rows(tmp_path / "exact")[-1]
    assert coarse["train_loss"] != exact["train_loss"]
    assert coarse["train_loss"] == pytest.approx(exact["train_loss"], rel=0.05)
    scored = json.loads(check_success(decorr("eval", tmp_path / "coarse", "--json")).stdout)
    assert scored["loss"] == pytest.approx(coarse["test_loss"], rel=1e-6)


def test_what_loses_perturbations_or_is_no_float32_is_refused(tmp_path, data):
    config = write_config(tmp_path / "config.toml", data)
    for rule in ("node-perturbation", "weight-perturbation"):
        for key in ("train.precision", "decorrelation.precision"):
            check_only_error(train(config, tmp_path / "run", "--set", f"{key}=bf16", "--set",
                                   f"learning.rule={rule}"), 2, "precision" if not has_bfloat16() else
                             "lose perturbations")
    check_only_error(train(config, tmp_path / "run", "--set", "decorrelation.precision=bf16",
                           "--set", "train.precision=float64"), 2, "float64")
    assert not (tmp_path / "run").exists()
