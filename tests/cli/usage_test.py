"""Help, version and wrong usage."""

import re

import pytest
from support import check_only_error, check_success, decorr

COMMANDS = [[], ["train"], ["sweep"], ["eval"], ["report"], ["data"], ["data", "list"], ["data", "info"],
            ["data", "fetch"], ["info"], ["bench"], ["bench", "step"], ["bench", "kernels"],
            ["bench", "loader"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(command):
    result = check_success(decorr(*command, "--help"))
    example = re.search(r"[Ee]xamples?:?\s+(decorr .*)", result.stdout)
    assert example, result.stdout
    assert example.group(1).startswith(" ".join(["decorr", *command])), example.group(1)
    assert result.stderr == ""


def test_version():
    result = check_success(decorr("--version"))
    assert re.fullmatch(r"decorr \d+\.\d+\.\d+.*\n", result.stdout), result.stdout


def test_info_names_the_libraries():
    text = check_success(decorr("info")).stdout.lower()
    for word in ("torch", "onednn", "processors", "norm-preserving", "backprop"):
        assert word in text, text


@pytest.mark.parametrize("arguments", [
    [], ["trian"], ["train"], ["sweep"], ["train", "--no-such-option"], ["eval"], ["data", "info"],
    ["eval", "run", "--split", "everything"],
], ids=" ".join)
def test_wrong_usage_is_exit_2(tmp_path, arguments):
    check_only_error(decorr(*arguments, cwd=tmp_path), 2)
    assert list(tmp_path.iterdir()) == []
