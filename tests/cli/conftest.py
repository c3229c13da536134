"""Fixtures of the command-line tests."""

from pathlib import Path

import pytest
import support


def pytest_configure():
    if not support.PROGRAM or not Path(support.PROGRAM).is_file():
        raise pytest.UsageError("set DECORR_PROGRAM to the path of the decorr program")


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """257 training images, so that batches of 64 leave a last one of a single image."""
    return support.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def config(tmp_path, data) -> Path:
    return support.write_config(tmp_path / "config.toml", data)
