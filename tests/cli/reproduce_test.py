"""scripts/reproduce.sh: its arguments, and that the files it names are there. What it trains takes an hour."""

import re
import subprocess

import pytest
from support import SCRIPTS

ROOT = SCRIPTS.parent
SCRIPT = SCRIPTS / "reproduce.sh"


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([SCRIPT, *arguments], text=True, capture_output=True, check=False, timeout=60)


def test_help_says_how_it_is_used():
    result = run("--help")
    assert result.returncode == 0
    assert "usage: scripts/reproduce.sh" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("arguments, needle", [
    (["--fast"], "unknown argument --fast"),
    (["--quick", "--out"], "--out needs a folder"),
    (["--via"], "--via needs web or npm"),
    (["--via", "ftp"], "--via must be web or npm, got ftp"),
])
def test_bad_arguments_are_refused_before_anything_is_done(arguments, needle):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == f"reproduce: error: {needle}, command line, see --help\n"


def test_the_sweeps_it_names_are_there():
    names = re.findall(r"configs/\S+\.toml", SCRIPT.read_text())
    assert len(names) >= 5
    for name in names:
        assert (ROOT / name).is_file(), name
