"""Build the native kernels into the package. All other metadata is in pyproject.toml.

The C ABI needs no torch headers, so a build takes a minute. Each instruction set has its own object files; the library
selects one when it is loaded. Architectures without any have the portable kernels. Without a compiler, elite falls back
to PyTorch.

CXX and _PYTHON_HOST_PLATFORM choose another compiler and processor, see CONTRIBUTING.md.
"""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDER = Path("src/elite/native")
VECTORS = ["kernels.cpp", "training.cpp"]  # compiled once per instruction set
PLAIN = ["geometry.cpp", "lovasz.cpp", "interface.cpp"]
ENGINE = [f"engine/{path.name}" for path in sorted((FOLDER / "engine").glob("*.cpp"))]
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}  # other names
if "CXX" in os.environ:  # setuptools would compile with it, but link with the compiler of Python
    os.environ.setdefault("LDCXXSHARED", os.environ["CXX"] + " -shared")


def options_of(platform: str) -> dict[str, list[str]]:
    """Options by instruction set, and those that all have in common, of a platform such as linux-aarch64."""
    machine = platform.lower().rsplit("-", 1)[-1]
    lines = (FOLDER / "compiler_options.txt").read_text().splitlines()
    found = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: flags for of, name, *flags in found if of in ("all", ARCHITECTURES.get(machine, machine))}


class BuildNative(build_ext):
    """Compile the row kernels once per instruction set, and link everything into one library."""

    def build_extension(self, ext: Extension) -> None:
        options, objects = options_of(self.plat_name), []
        common = ["-O3", "-g0", *options.pop("common")]
        for name, flags in options.items():
            for source in VECTORS:
                objects += self._compile(source, name, [*common, *flags, f"-DINSTRUCTIONS={name}"])
        for source in PLAIN + ENGINE:
            objects += self._compile(source, "any", common)
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        self.compiler.link_shared_object(objects, str(target), extra_postargs=["-fopenmp"], target_lang="c++")

    def _compile(self, source: str, variant: str, flags: list[str]) -> list[str]:
        return self.compiler.compile(
            [str(FOLDER / source)],
            output_dir=str(Path(self.build_temp) / variant),
            extra_postargs=flags,
            depends=[str(path) for path in FOLDER.rglob("*.h")],
        )


SOURCES = [str(FOLDER / name) for name in VECTORS + PLAIN + ENGINE]
setup(
    # ctypes opens the library, so one wheel suits every version of Python.
    ext_modules=[Extension("elite.native._kernels", SOURCES, optional=True, py_limited_api=True)],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
    cmdclass={"build_ext": BuildNative},
)
