"""Data sets of one's own files, and those that are made: read right, and refused in one clear line."""

import io
import re
import resource
import signal
import tarfile
from pathlib import Path

import numpy
import pytest
from PIL import Image
from support import (check_error, check_only_error, check_success, decorr, finish, rows, start,
                     train, wait_for, write_config)

GAP = 2  # pixels between the images of a contact sheet


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A folder of its own for decoded images."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("DECORR_DATA", str(folder))
    return folder


def noise(height, width, channels, seed=0):
    return numpy.random.default_rng(seed).integers(0, 256, (height, width, channels), "uint8")


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture
def photos(tmp_path):
    """Two classes of 12 noisy images to train and 4 to test; one class is brighter."""
    root = tmp_path / "photos"
    for part, count in (("train", 12), ("test", 4)):
        for label, name in enumerate(("dark", "light")):
            for i in range(count):
                pixels = noise(8, 8, 3, seed=i) // 2 + 127 * label
                save(root / part / name / f"{i}.png", Image.fromarray(pixels.astype("uint8")))
    return root


def config_for(tmp_path, name, root, **keys):
    return write_config(tmp_path / "config.toml", root, data={"name": name, **keys},
                        train={"batch_size": 8})


def test_image_folder_trains(tmp_path, photos, cache):
    config = config_for(tmp_path, "image-folder", photos, crop_size=6, flip=True)
    check_success(train(config, tmp_path / "run"))
    assert rows(tmp_path / "run")[-1]["test_acc"] == 1
    assert len(list((cache / "decoded").iterdir())) == 2
    check_success(decorr("eval", tmp_path / "run"))


def test_a_stop_while_images_are_decoded(tmp_path, cache):
    """Images that take long: the stop comes before anything is written."""
    root = tmp_path / "photos"
    save(tmp_path / "large.jpg", Image.new("RGB", (4000, 4000), (9, 90, 200)))
    for i in range(200):
        path = root / ("test" if i == 0 else "train") / "only" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(tmp_path / "large.jpg")
    config = config_for(tmp_path, "image-folder", root, image_size=8)
    process = start("train", config, "--out", tmp_path / "run")
    status = Path(f"/proc/{process.pid}/status")

    def takes_signals():
        blocked = re.search(r"SigBlk:\s*(\w+)", status.read_text())
        return int(blocked[1], 16) >> (signal.SIGINT - 1) & 1

    wait_for(takes_signals, process, "the guard")
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.returncode == 130, result.stderr
    assert result.stdout.splitlines()[-1] == \
        "interrupted while the data were loaded; nothing was written"
    assert not (tmp_path / "run").exists() and list(cache.iterdir()) == []


def kinds():
    """Images of every kind that PIL writes as PNG or JPEG, 8 x 8."""
    colour = Image.fromarray(noise(8, 8, 3))
    with_alpha = Image.fromarray(noise(8, 8, 4))
    grey = colour.convert("L")
    return {
        "a.png": (colour, {}),
        "b.png": (with_alpha, {}),
        "c.png": (grey, {}),
        "d.png": (with_alpha.convert("LA"), {}),
        "e.png": (colour.quantize(8), {}),
        "f.png": (colour.quantize(8), {"transparency": 3}),
        "g.png": (grey.point(lambda value: value > 99 and 255).convert("1"), {}),
        "h.png": (colour, {"dpi": (72, 72)}),
        "i.jpg": (colour, {"quality": 95}),
        "j.jpg": (grey, {"quality": 95}),
        "k.jpg": (colour, {"progressive": True}),
    }


def test_pixels_are_those_of_pil(tmp_path):
    root = tmp_path / "photos"
    for name, (image, options) in kinds().items():
        save(root / "train" / "all" / name, image, **options)
    save(root / "test" / "all" / "a.png", kinds()["a.png"][0])
    sheet = tmp_path / "sheet.png"
    result = decorr("data", "info", "image-folder", "--root", root, "--contact-sheet", sheet)
    check_success(result)
    pixels = numpy.asarray(Image.open(sheet))
    for column, name in enumerate(kinds()):
        begin = GAP + column * (64 + GAP)
        cell = pixels[GAP:GAP + 64:8, begin:begin + 64:8]
        with Image.open(root / "train" / "all" / name) as image:
            expected = numpy.asarray(image.convert("RGB"))
        difference = numpy.abs(cell.astype(int) - expected.astype(int)).max()
        assert difference <= (2 if name.endswith("jpg") else 0), name


def test_a_corrupt_image_is_named_or_skipped(tmp_path, photos):
    bad = photos / "train" / "dark" / "3.png"
    bad.write_bytes(bad.read_bytes()[:100])
    config = config_for(tmp_path, "image-folder", photos)
    check_only_error(train(config, tmp_path / "run"), 2, f"{bad} is cut off or damaged")
    assert not (tmp_path / "run").exists()
    result = check_success(train(config, tmp_path / "run", "--set", "data.corrupt=skip"))
    assert "note: skipped 1 corrupt image of image-folder (train): train/dark/3.png" in result.stderr
    check_only_error(decorr("data", "info", "image-folder", "--root", photos), 2, str(bad))
    shown = check_success(decorr("data", "info", "image-folder", "--root", photos,
                                 "--skip-corrupt"))
    assert "train: 23 images of 8 x 8 pixels" in shown.stdout


def test_a_class_without_images_is_named(tmp_path, photos):
    (photos / "train" / "empty").mkdir()
    config = config_for(tmp_path, "image-folder", photos)
    check_only_error(train(config, tmp_path / "run"), 2, str(photos / "train" / "empty"),
                     "has no images")


def test_sizes_that_differ_are_named_or_made_alike(tmp_path, photos):
    save(photos / "test" / "dark" / "wide.jpg", Image.fromarray(noise(9, 20, 3)))
    config = config_for(tmp_path, "image-folder", photos)
    check_only_error(train(config, tmp_path / "run"), 2, "9 x 20", "data.image_size")
    check_success(train(config, tmp_path / "run", "--set", "data.image_size=5"))
    shown = check_success(decorr("data", "info", "image-folder", "--root", photos,
                                 "--image-size", 5))
    assert "test: 9 images of 5 x 5 pixels" in shown.stdout


def limit_files(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_costs_the_cache_alone(photos, cache):
    result = check_success(decorr("data", "info", "image-folder", "--root", photos,
                                  preexec_fn=limit_files(1000)))
    assert "note: the decoded images are not kept" in result.stderr
    assert not any((cache / "decoded").iterdir())
    result = check_success(decorr("data", "info", "image-folder", "--root", photos))
    assert result.stderr == ""
    assert len(list((cache / "decoded").iterdir())) == 2


def test_a_contact_sheet_is_whole_or_not_there(tmp_path, photos):
    sheet = tmp_path / "sheet.png"
    arguments = ("data", "info", "image-folder", "--root", photos, "--contact-sheet", sheet)
    check_success(decorr(*arguments))
    before = sheet.read_bytes()
    check_error(decorr(*arguments, preexec_fn=limit_files(3000)), 1, str(sheet))
    assert sheet.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []


def arrays(count=60, test=20):
    """Images whose class is the row that is bright."""
    data = {}
    for part, size in (("train", count), ("test", test)):
        labels = numpy.arange(size) % 4
        images = noise(size, 6, 6) // 2
        images[numpy.arange(size), labels] = 255
        data[f"{part}_images"] = images
        data[f"{part}_labels"] = labels
    return data


@pytest.mark.parametrize("save_arrays", [numpy.savez, numpy.savez_compressed])
def test_numpy_archives_train(tmp_path, save_arrays):
    save_arrays(tmp_path / "a.npz", **arrays())
    config = config_for(tmp_path, "numpy", tmp_path / "a.npz")
    check_success(train(config, tmp_path / "run"))
    assert rows(tmp_path / "run")[-1]["test_acc"] > 0.9


def test_numpy_folders_are_the_same(tmp_path):
    (tmp_path / "arrays").mkdir()
    names = {"train_images": "x_train", "train_labels": "y_train", "test_images": "x_test",
             "test_labels": "y_test"}
    for name, values in arrays().items():
        converted = values.astype(">i2") if "labels" in name else numpy.asfortranarray(values)
        numpy.save(tmp_path / "arrays" / f"{names[name]}.npy", converted)
    numpy.savez(tmp_path / "a.npz", **arrays())
    shown = [check_success(decorr("data", "info", "numpy", "--root", root)).stdout.splitlines()
             for root in (tmp_path / "a.npz", tmp_path / "arrays")]
    assert shown[0][1:] == shown[1][1:]
    assert shown[0][1] == "train: 60 images of 6 x 6 pixels, 1 channel, 4 classes"


@pytest.mark.parametrize("name, change, needles", [
    ("train_images", lambda values: values / 255, ("holds floats (<f8)", "uint8, 0 to 255")),
    ("train_images", lambda values: values[1:], ("has 59 images", "has 60 labels")),
    ("train_labels", lambda values: values - 1, ("must be 0 to 65535, got -1",)),
    ("test_labels", lambda values: values.astype(object), ("holds Python objects",)),
    ("train_labels", lambda values: values.astype(str), ("holds '<U", "integer type")),
    ("test_images", lambda values: values[:, :4], ("must have one shape", "[1, 6, 6]", "[1, 4, 6]")),
])
def test_bad_arrays_are_named(tmp_path, name, change, needles):
    data = arrays()
    data[name] = change(data[name])
    numpy.savez(tmp_path / "a.npz", **data)
    config = config_for(tmp_path, "numpy", tmp_path / "a.npz")
    line = check_only_error(train(config, tmp_path / "run"), 2, *needles)
    assert name in line or "one shape" in line
    assert not (tmp_path / "run").exists()


def cifar100_archive(path):
    records = b"".join(bytes([label // 5, label]) + bytes(3072) for label in range(100))
    with tarfile.open(path, "w:gz") as archive:
        for name in ("train.bin", "test.bin"):
            member = tarfile.TarInfo(f"cifar-100-binary/{name}")
            member.size = len(records)
            archive.addfile(member, io.BytesIO(records))


def test_a_cut_off_archive_is_named(tmp_path):
    path = tmp_path / "cifar-100-binary.tar.gz"
    cifar100_archive(path)
    shown = check_success(decorr("data", "info", "cifar100", "--root", tmp_path)).stdout
    assert "images of a class: fewest 1, median 1, most 1" in shown
    assert "apple" in shown and "worm" in shown and "lamp" not in shown
    path.write_bytes(path.read_bytes()[:-20])
    config = config_for(tmp_path, "cifar100", tmp_path)
    check_only_error(train(config, tmp_path / "run"), 2, str(path), "download it again")
    assert not (tmp_path / "run").exists()


def test_gaussian_needs_no_files_and_follows_the_seed(tmp_path):
    config = config_for(tmp_path, "gaussian", "", samples=300, features=8, classes=3)
    losses = []
    for run, seed in (("a", 1), ("b", 1), ("c", 2)):
        check_success(train(config, tmp_path / run, "--set", f"seed={seed}"))
        losses.append(rows(tmp_path / run)[-1]["train_loss"])
    assert losses[0] == losses[1] != losses[2]
    check_success(decorr("eval", tmp_path / "a"))
    check_only_error(train(config, tmp_path / "d", "--root", tmp_path), 2, "has no files")
    assert "made from seed 42" in check_success(decorr("data", "info", "gaussian")).stdout


def test_keys_of_other_data_sets_are_errors(tmp_path, photos):
    config = config_for(tmp_path, "image-folder", photos, samples=5)
    check_only_error(train(config, tmp_path / "run"), 2, "data.samples", "has no effect",
                     'data.name = "gaussian"')
    config = config_for(tmp_path, "numpy", photos, corrupt="skip")
    check_only_error(train(config, tmp_path / "run"), 2, "data.corrupt", "has no effect")
    config = config_for(tmp_path, "image-folder", photos, mean=[0.5], normalize=True)
    check_only_error(train(config, tmp_path / "run"), 2, "data.mean", "3, got 1")
    config = config_for(tmp_path, "image-folder", photos, crop_size=9)
    check_only_error(train(config, tmp_path / "run"), 2, "8 x 8", "data.crop_size = 9")
    assert not (tmp_path / "run").exists()
