"""Killed, interrupted and failed runs: resuming ends in the same bytes as never having stopped."""

import json
import random
import resource
import shutil
import signal
import time

import pytest
from support import (check_error, check_only_error, check_same_end, check_success, copy, decorr,
                     finish, kill, newest_step, records, rows, snapshot, start,
                     start_until_checkpoint, train, wait_for, whole_checkpoints, write_config)

PLAIN = {"train": {"epochs": 40, "checkpoint_every": 3}}
EVERYTHING = {
    "data": {"crop_padding": 2, "flip": True, "validation": 50},
    "train": {"epochs": 40, "checkpoint_every": 3, "accumulate": 2, "early_stopping": 40},
    "optimizer": {"schedule": "cosine", "warmup": 7, "clip_norm": 1.0, "weight_decay": 0.01},
    "decorrelation": {"mean": "batch", "update_every": 2, "max_samples": 8},
}
STANDARDIZE = {"decorrelation": {"method": "standardize"}, **PLAIN}
CONVNET = {
    "model": {"type": "convnet", "hidden": None, "conv_widths": [4, 4], "dense_widths": [8]},
    "decorrelation": {"max_samples": 32}, "train": {"epochs": 12, "checkpoint_every": 3},
}
KOLEN_POLLACK = {"learning": {"rule": "kolen-pollack", "alignment": True},
                 "optimizer": {"weight_decay": 0.1}, **PLAIN}
SIGN_SYMMETRY = {"learning": {"rule": "sign-symmetry", "magnitude": "batch"}, **PLAIN}
NODE_PERTURBATION = {"learning": {"rule": "node-perturbation", "alignment": True},
                     "train": {"epochs": 40, "checkpoint_every": 3, "accumulate": 2}}
SGD = {"optimizer": {"type": "sgd", "lr": 0.01, "momentum": 0.9}, **PLAIN}


def reference(tmp_path, data, settings):
    """The configuration, and a run of it that never stopped."""
    config = write_config(tmp_path / "config.toml", data, **settings)
    check_success(train(config, tmp_path / "reference"))
    return config, tmp_path / "reference"


@pytest.mark.parametrize("settings", [PLAIN, EVERYTHING, STANDARDIZE, SGD, CONVNET, KOLEN_POLLACK,
                                      SIGN_SYMMETRY, NODE_PERTURBATION],
                         ids=["plain", "everything", "standardize", "sgd", "convnet",
                              "kolen-pollack", "sign-symmetry", "node-perturbation"])
def test_kill_at_random_moments(tmp_path, data, settings):
    config, expected = reference(tmp_path, data, settings)
    last_step = rows(expected)[-1]["step"]
    run = tmp_path / "run"
    moments = random.Random(11)
    kills = 0
    # Moments are counted in checkpoints, then in a little time: a loaded machine does not move them.
    # A training that ends before its kill (this process may have slept) proves nothing: start over.
    while kills < 4:
        resume = ["--resume"] if run.exists() else []
        process = start("train", config, "--out", run, *resume)
        target = newest_step(run) + moments.randint(1, max(1, last_step // 6))
        while process.poll() is None and newest_step(run) < target:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.03))
        if process.poll() is None:
            kill(process)
            kills += 1
        else:
            check_success(finish(process))
            shutil.rmtree(run)
    check_success(train(config, run, "--resume"))
    check_same_end(run, expected)


def test_kill_right_after_a_checkpoint(tmp_path, data):
    config, expected = reference(tmp_path, data, PLAIN)
    run = tmp_path / "run"
    kill(start_until_checkpoint(config, run))
    assert not (run / "summary.json").exists()
    # What a process leaves that is killed while it writes.
    for folder in (run, run / "checkpoints"):
        (folder / "metrics.jsonl.4194305-0.decorr-tmp").write_text("half a r")
    check_success(decorr("train", "--out", run, "--resume"))  # the run knows its configuration
    assert not list(run.rglob("*.decorr-tmp"))
    check_same_end(run, expected)


def test_kill_before_the_first_checkpoint(tmp_path, data):
    config, expected = reference(tmp_path, data, PLAIN)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.toml").write_bytes((expected / "config.toml").read_bytes())
    check_success(train(config, run, "--resume"))
    check_same_end(run, expected)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_interrupts_write_a_checkpoint(tmp_path, data, number):
    settings = {**EVERYTHING, "train": {**EVERYTHING["train"], "checkpoint_every": 0}}
    config, expected = reference(tmp_path, data, settings)
    run = tmp_path / "run"
    process = start_until_checkpoint(config, run)
    process.send_signal(number)
    result = finish(process)
    assert result.returncode == 130, result
    assert "Traceback" not in result.stderr and "terminate" not in result.stderr
    assert "--resume" in result.stdout + result.stderr
    stopped = newest_step(run)
    assert stopped < rows(expected)[-1]["step"]
    assert json.loads(check_success(decorr("eval", run, "--json")).stdout)["step"] == stopped
    check_success(train(config, run, "--resume"))
    check_same_end(run, expected)


def test_interrupts_do_not_disturb_the_kernels(tmp_path, data):
    # A kernel for a long sum may have its stack in a buffer: no place for a signal handler's frame.
    config = write_config(tmp_path / "config.toml", data, model={"hidden": [2000, 2000]},
                          decorrelation={"method": "none"}, train={"epochs": 1000})
    moments = random.Random(5)
    for number in range(6):
        process = start_until_checkpoint(config, tmp_path / f"run-{number}")
        time.sleep(moments.uniform(0.1, 0.4))
        process.send_signal(signal.SIGTERM)
        assert finish(process).returncode == 130


def test_a_finished_run_stays_as_it_is(tmp_path, data):
    config, expected = reference(tmp_path, data, {"train": {"epochs": 2}})
    before = snapshot(expected / "checkpoints")
    check_success(train(config, expected, "--resume"))
    assert snapshot(expected / "checkpoints") == before
    assert len(rows(expected)) == 2


def test_more_epochs_go_on_from_the_end(tmp_path, data):
    config, expected = reference(tmp_path, data, {"train": {"epochs": 4}})
    run = tmp_path / "run"
    check_success(train(config, run, "--set", "train.epochs=2"))
    check_success(train(config, run, "--resume"))
    check_same_end(run, expected)


def test_another_configuration_is_refused(tmp_path, config):
    run = tmp_path / "run"
    check_success(train(config, run))
    before = snapshot(run)
    check_only_error(train(config, run, "--resume", "--set", "model.hidden=[17]"), 2,
                     "hidden = [16]", "hidden = [17]")
    assert snapshot(run) == before


def test_nothing_to_resume(tmp_path, config):
    check_only_error(decorr("train", "--out", tmp_path / "none", "--resume"), 2, "none")
    assert not (tmp_path / "none").exists()


def stopped_run(tmp_path, data, **settings):
    """A configuration, and a run of it that was killed after its first checkpoint."""
    config = write_config(tmp_path / "config.toml", data, **settings)
    kill(start_until_checkpoint(config, tmp_path / "run"))
    return config, tmp_path / "run"


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path, data):
    settings = {"model": {"hidden": [64]}, "train": {"epochs": 20, "checkpoint_every": 3}}
    config, expected = reference(tmp_path, data, settings)
    config, run = stopped_run(tmp_path, data, **settings)
    before, left = whole_checkpoints(run), set(run.rglob("*.decorr-tmp"))
    checkpoint = records(run)[-1].with_suffix(".safetensors")
    limit = checkpoint.stat().st_size // 2

    def limit_file_size():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    result = train(config, run, "--resume", preexec_fn=limit_file_size)
    check_error(result, 1, str(run), "free space")
    assert whole_checkpoints(run) == before
    assert set(run.rglob("*.decorr-tmp")) <= left
    check_success(train(config, run, "--resume"))
    check_same_end(run, expected)


def test_a_full_disk_without_the_signal_ignored(tmp_path, data):
    config = write_config(tmp_path / "config.toml", data, model={"hidden": [64]})

    def limit_file_size():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    result = train(config, tmp_path / "run", preexec_fn=limit_file_size)
    check_error(result, 1, "free space")
    assert not records(tmp_path / "run")


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def foreign(path):
    path.write_bytes(b'{"hello": "world"}')


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("damage", [flip_a_byte, cut, foreign], ids=lambda damage: damage.__name__)
def test_a_damaged_checkpoint_is_named(tmp_path, data, suffix, damage):
    config, run = stopped_run(tmp_path, data, train={"epochs": 60})
    path = records(run)[-1].with_suffix(suffix)
    damage(path)
    before = snapshot(run)
    check_only_error(train(config, run, "--resume"), 2, path.stem)
    check_only_error(decorr("eval", run), 2, path.stem)
    assert snapshot(run) == before


def test_a_missing_tensors_file_is_named(tmp_path, data):
    config, run = stopped_run(tmp_path, data, train={"epochs": 60})
    path = records(run)[-1].with_suffix(".safetensors")
    path.unlink()
    check_only_error(train(config, run, "--resume"), 2, path.name)


def test_deleting_a_damaged_checkpoint_resumes_from_the_one_before(tmp_path, data):
    config, expected = reference(tmp_path, data, PLAIN)
    run = tmp_path / "run"
    process = start_until_checkpoint(config, run)
    wait_for(lambda: newest_step(run) > 3, process, "the second checkpoint")
    kill(process)
    records(run)[-1].unlink()
    check_success(train(config, run, "--resume"))
    check_same_end(run, expected)


def test_a_checkpoint_of_another_network_is_refused(tmp_path, data):
    config, run = stopped_run(tmp_path, data, train={"epochs": 60})
    other = copy(run, tmp_path / "other")
    text = (other / "config.toml").read_text()
    assert "hidden = [16]" in text
    (other / "config.toml").write_text(text.replace("hidden = [16]", "hidden = [17]"))
    result = train(config, other, "--resume", "--set", "model.hidden=[17]")
    check_only_error(result, 2, "checkpoints")
