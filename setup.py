"""Everything else stands in pyproject.toml; these two have no settled place there."""

from setuptools import setup

setup(
    cffi_modules=["src/calotype/coding/build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},  # the kernel uses only the stable ABI
)
