"""Data that cannot be used: exit code 2, the file is named, nothing is written."""

import gzip
import os

import pytest
from support import (SIDE, check_only_error, check_success, copy, decorr, idx, rows, train,
                     write_config, write_data)

IMAGES = "train-images-idx3-ubyte.gz"
LABELS = "train-labels-idx1-ubyte.gz"


def missing(path):
    path.unlink()


def truncated(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-10]))


def cut_stream(path):
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])


def not_gzip(path):
    path.write_bytes(gzip.decompress(path.read_bytes()))


def wrong_magic(path):
    path.write_bytes(gzip.compress(idx(0x1234, [1], b"\0")))


def fewer(path):
    count = 256
    if path.name == LABELS:
        path.write_bytes(gzip.compress(idx(0x801, [count], bytes(count))))
    else:
        pixels = bytes(count * SIDE * SIDE)
        path.write_bytes(gzip.compress(idx(0x803, [count, SIDE, SIDE], pixels)))


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [missing, truncated, cut_stream, not_gzip, wrong_magic, fewer,
                                    empty], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", [IMAGES, LABELS, "t10k-images-idx3-ubyte.gz"])
def test_bad_files_are_refused(tmp_path, data, damage, name):
    root = copy(data, tmp_path / "data")
    damage(root / name)
    config = write_config(tmp_path / "config.toml", root)
    line = check_only_error(train(config, tmp_path / "run"), 2)
    assert "idx" in line or str(root) in line, line
    assert not (tmp_path / "run").exists()


def test_more_validation_images_than_there_are(tmp_path, data):
    config = write_config(tmp_path / "config.toml", data, data={"validation": 257})
    check_only_error(train(config, tmp_path / "run"), 2, "257")
    assert not (tmp_path / "run").exists()


def test_constant_images_work(tmp_path):
    root = write_data(tmp_path / "data", constant=True)
    config = write_config(tmp_path / "config.toml", root)
    check_success(train(config, tmp_path / "run"))
    last = rows(tmp_path / "run")[-1]
    assert 0 < last["train_loss"] < 3
    assert any(layer["skipped"] > 0 for layer in last["layers"]), last


def test_the_folder_may_come_from_the_environment(tmp_path, data):
    config = write_config(tmp_path / "config.toml", data, data={"root": ""})
    check_success(train(config, tmp_path / "run", env={**os.environ, "DECORR_DATA": str(data)}))


def test_root_names_the_folder_for_one_run(tmp_path, data):
    config = write_config(tmp_path / "config.toml", tmp_path / "elsewhere")
    check_success(train(config, tmp_path / "run", "--root", data))
    check_success(decorr("eval", tmp_path / "run"))  # the resolved configuration has it


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_info_describes_a_data_set(data, name):
    result = check_success(decorr("data", "info", name, "--root", data))
    for number in ("257", "100", "8"):
        assert number in result.stdout


def test_list_names_them_all():
    result = check_success(decorr("data", "list"))
    assert "fashion-mnist" in result.stdout and "mnist" in result.stdout


def test_info_of_what_is_not_there(tmp_path):
    check_only_error(decorr("data", "info", "mnist", "--root", tmp_path), 2, str(tmp_path))
    check_only_error(decorr("data", "info", "fashion"), 2, "fashion-mnist")
