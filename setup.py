"""Everything else stands in pyproject.toml; these two have no settled place there."""

from pathlib import Path

from setuptools import setup

setup(
    cffi_modules=[f"{path.as_posix()}:ffibuilder" for path in sorted(Path("src").rglob("build.py"))],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},  # the kernel uses only the stable ABI
)
