# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the C half against libpondsocket and puts the library beside it.

The library and its header are looked for in
    POND_LIBDIR, POND_INCLUDEDIR   if set,
    ../../target/release, ../../include   in the repository (make lib),
    pkg-config pondsocket          otherwise.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIBRARY = {"darwin": "libpondsocket.dylib", "win32": "pondsocket.dll"}.get(sys.platform, "libpondsocket.so")
PYTHON = 0x030B0000  # the oldest one whose limited API is used


def pkg_config(variable: str) -> str | None:
    try:
        command = ["pkg-config", f"--variable={variable}", "pondsocket"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def find(what: str, environment: str, in_tree: Path, variable: str) -> Path:
    """The directory that holds the file `what`."""
    chosen = os.environ.get(environment)
    found = pkg_config(variable) if chosen is None and not (in_tree / what).exists() else None
    directory = Path(chosen or found or in_tree).resolve()
    if not (directory / what).exists():
        sys.exit(f"setup.py: no {what} in {directory}: run make lib first, or set {environment}")
    return directory


def soname(library: Path) -> str:
    """The name under which the dynamic linker looks for the library."""
    if sys.platform != "linux":
        return library.name
    dynamic = subprocess.run(["readelf", "-d", str(library)], check=True, capture_output=True, text=True).stdout
    found = re.search(r"\(SONAME\).*\[(.+)\]", dynamic)
    return found.group(1) if found else library.name


class BuildWithLibrary(build_ext):
    """Links against a copy of the library, which it then puts beside the extension."""

    def run(self) -> None:
        include = find("pondsocket.h", "POND_INCLUDEDIR", ROOT / "include", "includedir")
        library = find(LIBRARY, "POND_LIBDIR", ROOT / "target" / "release", "libdir") / LIBRARY
        copies = Path(self.build_temp) / "lib"
        shutil.rmtree(copies, ignore_errors=True)
        copies.mkdir(parents=True)
        name = soname(library)
        shutil.copy(library, copies / LIBRARY)
        if sys.platform == "linux":
            subprocess.run([os.environ.get("STRIP", "strip"), "--strip-unneeded", str(copies / LIBRARY)], check=True)
        elif sys.platform == "darwin":
            subprocess.run(["install_name_tool", "-id", f"@rpath/{name}", str(copies / LIBRARY)], check=True)
        elif sys.platform == "win32":
            shutil.copy(library.parent / "pondsocket.dll.lib", copies / "pondsocket.lib")
        for extension in self.extensions:
            extension.include_dirs.append(str(include))
            extension.library_dirs.append(str(copies))
        super().run()
        package = Path(self.get_ext_fullpath("pondsocket_native._core")).parent
        shutil.copy(copies / LIBRARY, package / name)


class OneForAllPythons(bdist_wheel):
    """The limited API: one wheel serves every CPython from 3.11 on."""

    def finalize_options(self) -> None:
        self.py_limited_api = "cp311"
        super().finalize_options()



def version() -> str:
    """The library's: from the repository, or as the source distribution was made from it."""
    for file, pattern in ((HERE / "PKG-INFO", r"^Version: (.+)$"), (ROOT / "Cargo.toml", r'^version = "(.+)"$')):
        if file.exists() and (found := re.search(pattern, file.read_text(encoding="utf-8"), re.M)):
            return found.group(1)
    sys.exit("setup.py: neither PKG-INFO nor the repository's Cargo.toml: which version is it?")


origin = {"linux": ["-Wl,-rpath,$ORIGIN"], "darwin": ["-Wl,-rpath,@loader_path"]}.get(sys.platform, [])

setup(
    version=version(),
    ext_modules=[
        Extension(
            "pondsocket_native._core",
            sources=[f"csrc/{name}.c" for name in ("module", "message", "channel", "options", "session")],
            depends=["csrc/core.h"],
            define_macros=[("Py_LIMITED_API", hex(PYTHON))],
            libraries=["pondsocket"],
            extra_compile_args=[] if sys.platform == "win32" else ["-std=c11", "-O2", "-Wall", "-Wextra"],
            extra_link_args=origin,
            py_limited_api=True,
        )
    ],
    cmdclass={"build_ext": BuildWithLibrary, "bdist_wheel": OneForAllPythons},
)
