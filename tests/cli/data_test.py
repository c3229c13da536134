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


CIFAR10 = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]


@pytest.fixture
def cifar10(tmp_path):
    """Eight images a file; the planes of an image are 0, 51 (0.2) and 255 throughout."""
    planes = b"".join(bytes([level]) * 1024 for level in (0, 51, 255))
    folder = tmp_path / "data" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name in CIFAR10:
        (folder / name).write_bytes(b"".join(bytes([label]) + planes for label in range(2, 10)))
    return folder


def test_info_describes_cifar10(cifar10):
    result = check_success(decorr("data", "info", "cifar10", "--root", cifar10.parent))
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == f"cifar10 in {cifar10}"
    for line in ("train: 40 images of 32 x 32 pixels, 3 channels, 10 classes", "airplane 0",
                 "truck 5", "test: 8 images of 32 x 32 pixels, 3 channels, 10 classes", "bird 1"):
        assert line in lines
    assert "channel mean 0.0000 0.2000 1.0000" in result.stdout


def test_bad_cifar10_files_are_refused(tmp_path, cifar10):
    config = write_config(tmp_path / "config.toml", cifar10, data={"name": "cifar10"})
    path = cifar10 / "data_batch_2.bin"
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    check_only_error(train(config, tmp_path / "run"), 2, str(path), "3073")
    path.write_bytes(b"\x0a" + good[1:])
    check_only_error(train(config, tmp_path / "run"), 2, str(path), "got 10 in record 0")
    path.unlink()
    check_only_error(train(config, tmp_path / "run"), 2, str(cifar10), "lacks data_batch_2.bin")
    assert not (tmp_path / "run").exists()


def test_list_names_them_all():
    words = check_success(decorr("data", "list")).stdout.split()
    for name in ("mnist", "fashion-mnist", "cifar10", "cifar100", "tiny-imagenet", "image-folder",
                 "numpy", "gaussian"):
        assert name in words


def test_info_of_what_is_not_there(tmp_path):
    check_only_error(decorr("data", "info", "mnist", "--root", tmp_path), 2, str(tmp_path))
    check_only_error(decorr("data", "info", "fashion"), 2, "fashion-mnist")
