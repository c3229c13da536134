"""What the tests of the command line share: small data sets, running the program and the
scripts, runs written by hand, comparing runs."""

import gzip
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

PROGRAM = os.environ.get("DECORR_PROGRAM", "")
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SIDE = 8
CLASSES = 10
TIMEOUT = 240  # seconds; sanitizer builds are slow


def idx(magic: int, sizes: list[int], payload: bytes) -> bytes:
    """An IDX file: magic number and sizes big-endian, then bytes."""
    return struct.pack(f">I{len(sizes)}I", magic, *sizes) + payload


def image(label: int, source: random.Random) -> bytes:
    """SIDE x SIDE pixels: a bright row or column that tells the class, on noise."""
    pixels = bytearray(source.randrange(100) for _ in range(SIDE * SIDE))
    for i in range(SIDE):
        row, column = (label % 5 + 1, i) if label < 5 else (i, label % 5 + 1)
        pixels[row * SIDE + column] = 255
    return bytes(pixels)


def write_split(folder: Path, prefix: str, count: int, seed: int, constant: bool = False) -> None:
    source = random.Random(seed)
    labels = bytes(source.randrange(CLASSES) for _ in range(count))
    pixels = [bytes(SIDE * SIDE) if constant else image(label, source) for label in labels]
    folder.mkdir(parents=True, exist_ok=True)
    images = idx(0x803, [count, SIDE, SIDE], b"".join(pixels))
    (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx(0x801, [count], labels)))


def write_data(folder: Path, train: int = 257, test: int = 100, constant: bool = False) -> Path:
    """A small data set under the file names of MNIST and Fashion-MNIST."""
    write_split(folder, "train", train, seed=1, constant=constant)
    write_split(folder, "t10k", test, seed=2, constant=constant)
    return folder


def write_config(path: Path, root: Path, **tables: dict) -> Path:
    """A configuration for a run of about a second on the data in `root`; `tables` changes it, and
    leaves out what it sets to None."""
    config = {
        "data": {"name": "fashion-mnist", "root": str(root)},
        "model": {"hidden": [16]},
        "optimizer": {"lr": 0.003},
        "train": {"epochs": 2, "batch_size": 64, "threads": 1},
    }
    for table, keys in tables.items():
        config.setdefault(table, {}).update(keys)
    lines = []
    for table, keys in config.items():
        lines.append(f"[{table}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()
                  if value is not None]
    path.write_text("\n".join(lines) + "\n")
    return path


def start(*arguments, **options) -> subprocess.Popen:
    """Starts the program with pipes for its output."""
    return subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def finish(process: subprocess.Popen) -> subprocess.CompletedProcess:
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def decorr(*arguments, **options) -> subprocess.CompletedProcess:
    """Runs the program to its end."""
    return finish(start(*arguments, **options))


def train(config: Path, out: Path, *arguments, **options) -> subprocess.CompletedProcess:
    return decorr("train", config, "--out", out, *arguments, **options)


def check_success(result: subprocess.CompletedProcess) -> subprocess.CompletedProcess:
    assert result.returncode == 0, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "decorr: error" not in result.stderr
    return result


def check_error(result: subprocess.CompletedProcess, code: int, *needles: str) -> str:
    """The program failed with `code` and one error line that holds all `needles`."""
    shown = f"exit {result.returncode}\nstdout: {result.stdout}\nstderr: {result.stderr}"
    assert result.returncode == code, shown
    errors = [line for line in result.stderr.splitlines() if line.startswith("decorr: error: ")]
    assert len(errors) == 1, shown
    assert result.stderr.splitlines()[-1] == errors[0], shown
    for ugly in ("terminate called", "Exception raised from", "what():", "Traceback", "Sanitizer"):
        assert ugly not in result.stderr, shown
    for needle in needles:
        assert needle in errors[0], f"{needle!r} is not in: {errors[0]}"
    return errors[0]


def check_only_error(result: subprocess.CompletedProcess, code: int, *needles: str) -> str:
    """check_error(), and nothing else is on stderr: for errors before anything has begun."""
    line = check_error(result, code, *needles)
    assert result.stderr == line + "\n", result.stderr
    return line


def script_command(name: str, *arguments) -> list[str]:
    return ["/usr/bin/python3", str(SCRIPTS / f"{name}.py"), *map(str, arguments)]


def run_script(name: str, *arguments) -> subprocess.CompletedProcess:
    """Runs a script of the repository to its end."""
    return subprocess.run(script_command(name, *arguments), text=True, capture_output=True,
                          check=False, timeout=TIMEOUT)


def check_script_error(result: subprocess.CompletedProcess, code: int, *needles: str) -> None:
    """The script failed with `code`, and its last line is an error that holds all `needles`."""
    assert result.returncode == code, result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"{Path(result.args[1]).stem}: error: "), result.stderr
    assert "Traceback" not in result.stderr
    for needle in needles:
        assert needle in last, f"{needle!r} is not in: {last}"


def write_run(folder: Path, rows: list[dict], config: str, status: str) -> Path:
    """A run that has ended: its metrics, its configuration and how it ended."""
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "config.toml").write_text(config)
    (folder / "summary.json").write_text(json.dumps({"status": status}))
    return folder


def stand_in(folder: Path, body: str) -> Path:
    """A shell script in the program's place."""
    program = folder / "decorr"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return program


def rows(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def untimed(run: Path) -> list[dict]:
    """The rows of a run without what depends on the clock or tells where it was resumed."""
    clock = ("train_seconds", "eval_seconds", "samples_per_second", "resumed_at_step")
    return [{key: value for key, value in row.items() if key not in clock} for row in rows(run)]


def records(run: Path) -> list[Path]:
    """The JSON files of the checkpoints, oldest first: a checkpoint exists once it has one."""
    return sorted((run / "checkpoints").glob("step-*.json"))


def step_of(record: Path) -> int:
    return int(record.stem.removeprefix("step-"))


def newest_step(run: Path) -> int:
    """Step of the newest checkpoint; 0 is the one that a run begins with."""
    return max(map(step_of, records(run)), default=0)


def final_tensors(run: Path) -> tuple[str, bytes]:
    """Name of the newest checkpoint, and the bytes of its tensors."""
    record = json.loads(records(run)[-1].read_text())
    return records(run)[-1].name, (run / "checkpoints" / record["tensors_file"]).read_bytes()


def whole_checkpoints(run: Path) -> dict[str, tuple[bytes, bytes]]:
    """The two files of every checkpoint; what a killed process left half-written does not count."""
    return {record.name: (record.read_bytes(), record.with_suffix(".safetensors").read_bytes())
            for record in records(run)}


def check_same_end(run: Path, reference: Path) -> None:
    """`run` ended as `reference` did: same tensors, same metrics, nothing lying around."""
    assert final_tensors(run) == final_tensors(reference)
    assert untimed(run) == untimed(reference)
    assert sorted(path.name for path in run.iterdir()) == sorted(
        path.name for path in reference.iterdir())
    assert [path.name for path in records(run)] == [path.name for path in records(reference)]


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def wait_for(condition, process: subprocess.Popen, what: str) -> None:
    """Waits until condition() holds while `process` runs."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if process.poll() is not None:
            out, err = process.communicate()
            raise AssertionError(f"ended with {process.returncode} before {what}\n{out}\n{err}")
        if time.monotonic() > deadline:
            process.kill()
            process.communicate()
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(0.005)


def start_until_checkpoint(config: Path, run: Path, *arguments) -> subprocess.Popen:
    """Starts a training and returns once it has trained and written a checkpoint of that."""
    process = start("train", config, "--out", run, *arguments)
    wait_for(lambda: newest_step(run) > 0, process, "the first checkpoint")
    return process


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def copy(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))
