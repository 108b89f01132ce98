"""Build the native kernels into the package. All other metadata is in pyproject.toml.

The C ABI needs no torch headers, so a build takes seconds. Each instruction set has its own object file; the library
selects one when it is loaded. Without a compiler, or on another architecture, elite falls back to PyTorch.
"""

import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDER = Path("src/elite/native")
VECTORS = ["kernels.cpp", "training.cpp"]  # compiled once per instruction set
PLAIN = ["geometry.cpp", "lovasz.cpp", "interface.cpp"]
ENGINE = [f"engine/{path.name}" for path in sorted((FOLDER / "engine").glob("*.cpp"))]
OPTIONS = {
    line.split()[0]: line.split()[1:]
    for line in (FOLDER / "compiler_options.txt").read_text().splitlines()
    if line and not line.startswith("#")
}
COMMON = ["-O3", *OPTIONS.pop("all")]


class BuildNative(build_ext):
    """Compile the row kernels once per instruction set, and link everything into one library."""

    def build_extension(self, ext: Extension) -> None:
        if platform.machine() not in ("x86_64", "AMD64"):
            self.announce(f"no native kernels for {platform.machine()}; elite falls back to PyTorch", level=3)
            return
        objects = []
        for name, flags in OPTIONS.items():
            for source in VECTORS:
                objects += self._compile(source, name, [*flags, f"-DINSTRUCTIONS={name}"])
        for source in PLAIN + ENGINE:
            objects += self._compile(source, "any", [])
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        self.compiler.link_shared_object(objects, str(target), extra_postargs=["-fopenmp"], target_lang="c++")

    def _compile(self, source: str, variant: str, flags: list[str]) -> list[str]:
        return self.compiler.compile(
            [str(FOLDER / source)],
            output_dir=str(Path(self.build_temp) / variant),
            extra_postargs=[*COMMON, *flags],
            depends=[str(path) for path in FOLDER.rglob("*.h")],
        )


setup(
    ext_modules=[
        Extension("elite.native._kernels", [str(FOLDER / name) for name in VECTORS + PLAIN + ENGINE], optional=True)
    ],
    cmdclass={"build_ext": BuildNative},
)
