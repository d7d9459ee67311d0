"""What a test that compiles something must know of the build."""

import os
import pathlib
import re
import shlex

from harness import program


def build_folder():
    top = os.environ.get("abs_top_builddir")
    return pathlib.Path(top) if top else pathlib.Path(program("bursard", "BURSARD")[0]).parent


def build_setting(name):
    """A variable of the build's makefile, as words."""
    text = (build_folder() / "Makefile").read_text()
    found = re.search(rf"^{name} = (.*)$", text, re.MULTILINE)
    return shlex.split(found[1]) if found else []
