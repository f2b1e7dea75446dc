"""A directory with the packages of node/package.json, exactly those of its lock.

    python3 node.py DIRECTORY [PROGRAMS]

It is made where it is missing or was made otherwise, and found ready else.
Processes that want it at once wait for the one that makes it. PROGRAMS is the
directory of a Node.js that is not on the search path. The tests and
`cargo xtask` both call this, so that there is one way and one place.
"""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__)
WANTED = [HERE.with_name("node") / name for name in ("package.json", "package-lock.json")]


def make(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for file in WANTED:
        shutil.copy(file, directory)
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("there is no npm; type this, then try again: sudo apt-get install nodejs npm")
    install = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(install, cwd=directory, check=True, stdout=subprocess.DEVNULL)


def main(directory, programs):
    if programs:
        os.environ["PATH"] = os.pathsep.join([*programs, os.environ["PATH"]])
    directory.parent.mkdir(parents=True, exist_ok=True)
    installed = directory / "installed.txt"
    with open(directory.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = "".join(file.read_text() for file in [*WANTED, HERE])
        if not installed.is_file() or installed.read_text() != wanted:
            make(directory)
            installed.write_text(wanted)


main(pathlib.Path(sys.argv[1]).absolute(), sys.argv[2:])
