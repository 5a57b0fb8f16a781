"""Everything else stands in pyproject.toml; these have no settled place there."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext


class BuildKernels(build_ext):
    """On Windows by clang-cl, which has the vector extension that the kernels are written in; MSVC has none.

    Elsewhere without what debuggers read, which is large and names the folder of the build.
    """

    def build_extensions(self) -> None:
        """Compile all kernels."""
        if self.compiler.compiler_type == "msvc":
            self.compiler.initialize()
            self.compiler.cc = shutil.which("clang-cl")
            if self.compiler.cc is None:
                sys.exit("the kernels need clang-cl; install LLVM (winget install LLVM.LLVM) and put it on the PATH")
            for extension in self.extensions:
                extension.extra_compile_args = ["/O2", "/clang:-std=c11", "/clang:-ffp-contract=off"]
                extension.libraries = [name for name in extension.libraries if name != "m"]
        else:
            for extension in self.extensions:
                extension.extra_compile_args.append("-g0")
        super().build_extensions()


setup(
    cffi_modules=[f"{path.as_posix()}:ffibuilder" for path in sorted(Path("src").rglob("build.py"))],
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},  # the kernel uses only the stable ABI
)
