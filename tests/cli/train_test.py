"""Training and evaluating small networks."""

import json
import os

import pytest
from support import (check_error, check_only_error, check_success, decorr, final_tensors, kill,
                     records, rows, snapshot, start_until_checkpoint, train, untimed,
                     write_config, write_data)


def scored(run, *arguments) -> dict:
    """What `decorr eval --json` says."""
    return json.loads(check_success(decorr("eval", run, "--json", *arguments)).stdout)


def test_writes_the_run_directory(tmp_path, config):
    run = tmp_path / "run"
    check_success(train(config, run))
    assert {"config.toml", "metrics.jsonl", "summary.json", "checkpoints"} <= set(os.listdir(run))
    assert [row["epoch"] for row in rows(run)] == [1, 2]
    assert [row["step"] for row in rows(run)] == [5, 10]
    for row in rows(run):
        assert 0 <= row["train_acc"] <= 1 and 0 <= row["test_acc"] <= 1
        assert row["train_seconds"] > 0 and row["samples_per_second"] > 0
        assert [layer["path"] for layer in row["layers"]] == ["layers.0", "layers.1"]
        for layer in row["layers"]:
            assert layer["matrix_norm"] > 0 and "energy" in layer and "skipped" in layer
    assert not [path for path in run.rglob("*") if "tmp" in path.name]


def test_learns(tmp_path, config):
    check_success(train(config, tmp_path / "run", "--set", "train.epochs=10"))
    assert rows(tmp_path / "run")[-1]["test_acc"] > 0.9


@pytest.mark.parametrize("model, layers", [
    ({"type": "convnet", "conv_widths": [4, 4], "dense_widths": [8]},
     ["convolutions.0", "convolutions.1", "dense.0", "dense.1"]),
    ({"type": "resnet18", "width": 2, "batch_norm": False}, 21),
    ({"type": "resnet18", "width": 2}, 21),
    ({"type": "transformer", "width": 8, "depth": 1, "heads": 2},
     ["embedding", "blocks.0.qkv", "blocks.0.out", "blocks.0.expand", "blocks.0.contract", "head"]),
    ({"type": "recurrent", "width": 8}, ["input", "hidden", "head"]),
], ids=["convnet", "resnet18", "resnet18-batch-norm", "transformer", "recurrent"])
def test_trains_every_type_of_network(tmp_path, data, model, layers):
    config = write_config(tmp_path / "c.toml", data, model={"hidden": None, **model},
                          data={"drop_last": True}, train={"epochs": 1},
                          decorrelation={"update_every": 1})
    run = tmp_path / "run"
    check_success(train(config, run))
    (row,) = rows(run)
    assert row["train_loss"] < 4 and row["step"] == 4
    paths = [layer["path"] for layer in row["layers"]]
    assert paths == layers or len(paths) == layers
    for layer in row["layers"]:
        assert layer["updates"] == 4 and layer["skipped"] == 0
    assert scored(run)["acc"] == row["test_acc"]


def test_networks_that_do_not_fit_the_data_are_refused(tmp_path, data):
    run = tmp_path / "run"
    config = write_config(tmp_path / "c.toml", data, model={"hidden": None, "type": "resnet18",
                                                            "width": 2})
    check_only_error(train(config, run), 2, "batch of one image of 8 x 8", "data.drop_last = true")
    config = write_config(tmp_path / "c.toml", data, model={"hidden": None, "type": "convnet",
                                                            "conv_widths": [2] * 8})
    check_only_error(train(config, run), 2, "at least 16 x 16", "got 8 x 8", "model.type")
    check_only_error(train(config, run, "--set", "model.type=convent"), 2, 'mean "convnet"?')
    assert not run.exists()


@pytest.mark.parametrize("method", ["norm-preserving", "copi", "standardize", "none"])
def test_eval_agrees_with_the_summary(tmp_path, config, method):
    run = tmp_path / "run"
    check_success(train(config, run, "--set", f"decorrelation.method={method}"))
    summary = json.loads((run / "summary.json").read_text())
    before = snapshot(run)
    last = scored(run)
    assert last["acc"] == summary["final"]["test_acc"]
    assert last["loss"] == summary["final"]["test_loss"]
    assert last["acc"] == rows(run)[-1]["test_acc"] and last["count"] == 100
    assert scored(run, "--checkpoint", "best")["step"] == summary["best"]["step"]
    first = scored(run, "--checkpoint", "5")
    assert first["loss"] == rows(run)[0]["test_loss"]
    assert scored(run, "--split", "train")["count"] == 257
    assert snapshot(run) == before


def test_eval_of_what_is_not_there(tmp_path, config):
    run = tmp_path / "run"
    check_only_error(decorr("eval", run), 2, str(run))
    check_success(train(config, run))
    check_only_error(decorr("eval", run, "--checkpoint", "7"), 2, "7")
    check_only_error(decorr("eval", run, "--split", "validation"), 2, "validation")
    check_only_error(decorr("eval", run, "--root", tmp_path / "no"), 2, str(tmp_path / "no"))


def test_the_same_seed_gives_the_same_run(tmp_path, config):
    check_success(train(config, tmp_path / "a"))
    check_success(train(config, tmp_path / "b"))
    check_success(train(config, tmp_path / "c", "--set", "seed=43"))
    assert final_tensors(tmp_path / "a") == final_tensors(tmp_path / "b")
    assert untimed(tmp_path / "a") == untimed(tmp_path / "b")
    assert final_tensors(tmp_path / "a") != final_tensors(tmp_path / "c")


def test_prefetching_changes_nothing(tmp_path, config):
    check_success(train(config, tmp_path / "a", "--set", "data.prefetch=1"))
    check_success(train(config, tmp_path / "b", "--set", "data.prefetch=5"))
    assert final_tensors(tmp_path / "a") == final_tensors(tmp_path / "b")


def test_a_last_batch_of_one_works(tmp_path, config):
    check_success(train(config, tmp_path / "run"))  # 257 = 4 * 64 + 1
    assert rows(tmp_path / "run")[-1]["step"] == 10


def test_steps_of_one_sample_are_refused_unless_plain(tmp_path):
    config = write_config(tmp_path / "c.toml", write_data(tmp_path / "data", train=33, test=10),
                          train={"batch_size": 1})
    run = tmp_path / "run"
    check_only_error(train(config, run), 2, "batch_size 1", "c.toml:")
    assert not run.exists()
    check_success(train(config, run, "--set", "decorrelation.method=none"))
    assert rows(run)[-1]["step"] == 66
    check_success(train(config, tmp_path / "b", "--set", "train.accumulate=4"))
    assert rows(tmp_path / "b")[-1]["step"] == 18


def test_an_existing_run_is_left_alone(tmp_path, config):
    run = tmp_path / "run"
    check_success(train(config, run))
    before = snapshot(run)
    check_only_error(train(config, run), 2, str(run), "--resume")
    assert snapshot(run) == before


def test_a_folder_with_other_files_is_left_alone(tmp_path, config):
    run = tmp_path / "run"
    run.mkdir()
    (run / "thesis.txt").write_text("precious")
    for arguments in ([], ["--resume"]):
        check_only_error(train(config, run, *arguments), 2, str(run))
        assert snapshot(run) == {"thesis.txt": b"precious"}


def test_a_file_in_the_place_of_the_run(tmp_path, config):
    (tmp_path / "run").write_text("precious")
    check_only_error(train(config, tmp_path / "run"), 2, str(tmp_path / "run"))
    assert (tmp_path / "run").read_text() == "precious"


def test_an_empty_folder_is_used(tmp_path, config):
    (tmp_path / "run").mkdir()
    check_success(train(config, tmp_path / "run"))


def test_divergence_keeps_the_last_good_checkpoint(tmp_path, config):
    run = tmp_path / "run"
    result = train(config, run, "--set", "optimizer.type=sgd", "--set", "optimizer.lr=1e30",
                   "--set", "train.checkpoint_every=1", "--set", "train.epochs=50")
    check_error(result, 3, "diverged", str(run))
    assert scored(run)["count"] == 100
    for row in rows(run):
        assert row["train_loss"] < float("inf")
    assert json.loads((run / "summary.json").read_text())["status"] == "diverged"


def test_early_stopping_ends_the_run(tmp_path, config):
    run = tmp_path / "run"
    check_success(train(config, run, "--set", "train.epochs=60", "--set", "optimizer.lr=0.3",
                        "--set", "train.early_stopping=2"))
    assert len(rows(run)) < 60


def test_two_processes_cannot_train_in_one_folder(tmp_path, config):
    run = tmp_path / "run"
    process = start_until_checkpoint(config, run, "--set", "train.epochs=100000")
    try:
        result = train(config, run, "--resume", "--set", "train.epochs=100000")
        assert result.returncode in (1, 2)
        check_error(result, result.returncode, str(run))
        assert process.poll() is None and records(run)
    finally:
        kill(process)


def test_quiet_prints_nothing(tmp_path, config):
    result = check_success(train(config, tmp_path / "run", "--quiet"))
    assert result.stdout == "" and result.stderr == ""
