"""Run ``elite`` where only the packages of the core installation can be imported."""

import importlib.util
import sys
from typing import Any

CORE = {"numpy", "PIL", "yaml", "safetensors", "tqdm", "elite"}


class Refusal:
    """Import of any other package."""

    def find_spec(self, name: str, *_: Any) -> None:
        package = name.partition(".")[0]
        if package not in CORE | sys.stdlib_module_names and not package.startswith("_"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


def spec_of_core(name: str, find_spec: Any = importlib.util.find_spec) -> Any:
    try:
        return find_spec(name)
    except ModuleNotFoundError:
        return None


if __name__ == "__main__":
    sys.meta_path.insert(0, Refusal())  # type: ignore[arg-type]
    importlib.util.find_spec = spec_of_core
    from elite.cli import main

    sys.exit(main(sys.argv[1:]))
