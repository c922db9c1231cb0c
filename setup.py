"""Builds the C core: csrc/*.c once into a static library, then a module per zebfast/core/*.pyx.

Everything descriptive is in pyproject.toml. Switches, all read from the environment of the build:

    ZEBFAST_NATIVE=1    add -march=native (for this machine only; never for a wheel that travels)
    ZEBFAST_DEBUG=1     -O0 -g, C assertions and Cython bounds checks on
    ZEBFAST_SANITIZE=1  address and undefined-behaviour sanitizers (run with libasan preloaded);
                        =thread for that of threads; make sanitize builds and runs with either
    ZEBFAST_COVERAGE=1  gcov counters and Cython line tracing

Intermediate files live in build/<python>-<digest of the flags>/: switches never mix objects.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist
from setuptools.modified import newer_group

ROOT = Path(__file__).resolve().parent
os.chdir(ROOT)  # every path below is relative to the project, wherever the build was started

SWITCHES = {
    name: os.environ.get(f"ZEBFAST_{name}", "0") not in ("", "0")
    for name in ("NATIVE", "DEBUG", "SANITIZE", "COVERAGE")
}
SANITIZED = (
    "-fsanitize=thread"
    if os.environ.get("ZEBFAST_SANITIZE") == "thread"
    else "-fsanitize=address,undefined"
)
VARIANT = "+".join(name.lower() for name, on in SWITCHES.items() if on) or "release"

# csrc/selftest.c has a main() of its own; it is built by the tests, not into the package.
C_SOURCES = sorted(str(p) for p in Path("csrc").glob("*.c") if p.name != "selftest.c")
C_HEADERS = sorted(str(p) for p in Path("csrc").glob("*.h"))
PYX = sorted(Path("zebfast/core").glob("*.pyx"))
# Cython's memory views, written once: in every module they were half of it.
SHARED = "zebfast.core._cyutility"


def compile_flags() -> list[str]:
    """Flags for our own C. No fast-math: results must be the same bits everywhere."""
    flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
    # Python's own -g costs a fifth of the compilation and most of the size; see ZEBFAST_DEBUG.
    # A module leaves out what it does not call of the library, by sections.
    flags += ["-g0", "-pthread", "-ffunction-sections", "-fdata-sections"]
    if SWITCHES["NATIVE"]:
        flags += ["-march=native", "-DZF_NATIVE", "-DZF_NO_CLONES"]
    if SWITCHES["DEBUG"]:
        flags += ["-O0", "-g", "-UNDEBUG"]
    if SWITCHES["SANITIZE"]:
        # The loader picks a clone before the sanitizer is up, so a sanitized build has none.
        flags += ["-O1", "-g", "-UNDEBUG", "-fno-omit-frame-pointer", "-DZF_NO_CLONES"]
        flags += [SANITIZED]
    if SWITCHES["COVERAGE"]:
        flags += ["-O0", "-g", "--coverage"]
    return flags


def link_flags() -> list[str]:
    """Flags the linker needs to match compile_flags()."""
    flags = ["-pthread", "-Wl,-dead_strip" if sys.platform == "darwin" else "-Wl,--gc-sections"]
    if SWITCHES["SANITIZE"]:
        flags.append(SANITIZED)
    if SWITCHES["COVERAGE"]:
        flags.append("--coverage")
    return flags


def directives() -> dict[str, object]:
    """Cython compiler directives; a .pyx may still override one in its first lines."""
    checks = SWITCHES["DEBUG"]
    return {
        "language_level": 3,
        "boundscheck": checks,
        "wraparound": False,
        "cdivision": not checks,
        "initializedcheck": checks,
        "binding": True,
        "embedsignature": True,
        "linetrace": SWITCHES["COVERAGE"],
        "profile": SWITCHES["COVERAGE"],
    }


MACROS: list[tuple[str, str | None]] = [("ZEBFAST_BUILD", f'"{VARIANT}"')]
if SWITCHES["COVERAGE"]:
    MACROS += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1")]

DIGEST = hashlib.sha256(repr((compile_flags(), directives(), MACROS)).encode()).hexdigest()[:8]
BUILD = Path("build") / f"{sys.implementation.cache_tag}-{DIGEST}"


@contextlib.contextmanager
def build_lock() -> Iterator[None]:
    """Hold build/.lock, so that two builds in one checkout take turns instead of mixing files."""
    import fcntl

    BUILD.mkdir(parents=True, exist_ok=True)
    with open("build/.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class BuildCore(build_ext):
    """build_ext that first compiles csrc/ into a static library, which each module links."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()
        if self.inplace or self.editable_mode:
            # A fixed place for the linked modules makes editable installs incremental, too.
            self.build_lib, self.build_temp = str(BUILD / "lib"), str(BUILD / "temp")
        else:
            self.force = True  # build/lib.* may hold modules built with other switches

    def run(self) -> None:
        with build_lock():
            super().run()

    def build_extensions(self) -> None:
        from Cython.Build import cythonize

        archive = self.build_archive()
        modules = cythonize(
            self.extensions,
            build_dir=str(BUILD / "cython"),
            include_path=["."],
            compiler_directives=directives(),
            shared_utility_qualified_name=SHARED,
            quiet=not self.verbose,
        )
        for ext, generated in zip(self.extensions, modules, strict=True):
            ext.sources = generated.sources
            ext.extra_objects = [archive] if archive else []
            ext.depends = [*ext.depends, *ext.extra_objects]
            self.reuse_object(ext)
        super().build_extensions()

    def reuse_object(self, ext: Extension) -> None:
        """Where only the library changed, link the module's present object: it compiles slowly."""
        objects = self.compiler.object_filenames(ext.sources, output_dir=self.build_temp)
        sources = [*ext.sources, *C_HEADERS, "setup.py"]
        if not self.force and not any(newer_group(sources, target) for target in objects):
            ext.sources, ext.extra_objects = [], [*objects, *ext.extra_objects]

    def build_archive(self) -> str | None:
        """Compile what changed in csrc/ (a header counts for every file); return the library."""
        if not C_SOURCES:
            return None
        temp = str(BUILD)
        flags = [*compile_flags(), "-fPIC", "-Wall", "-Wextra"]

        def compile_one(source: str) -> str:
            [target] = self.compiler.object_filenames([source], output_dir=temp)
            if newer_group([source, *C_HEADERS, "setup.py"], target):
                self.compiler.compile(
                    [source],
                    output_dir=temp,
                    macros=MACROS,
                    include_dirs=["csrc"],
                    extra_postargs=flags,
                )
            return target

        with ThreadPoolExecutor(self.parallel) as pool:
            objects = list(pool.map(compile_one, C_SOURCES))
        archive = str(self.compiler.library_filename("zebfast_core", output_dir=temp))
        if newer_group(objects, archive):
            # ar adds to an existing archive, so a deleted source would stay in it.
            Path(archive).unlink(missing_ok=True)
            self.compiler.create_static_lib(objects, "zebfast_core", output_dir=temp)
        return archive


class SourceArchive(sdist):
    """sdist whose archive is the same bytes for the same files and SOURCE_DATE_EPOCH.

    setuptools heeds the variable for wheels alone.
    """

    def make_archive(
        self,
        base_name: str,
        format: str,
        root_dir: str | None = None,
        base_dir: str | None = None,
        owner: str | None = None,
        group: str | None = None,
    ) -> str:
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        if epoch is None or format != "gztar" or base_dir is None:
            return super().make_archive(base_name, format, root_dir, base_dir, owner, group)
        files = sorted(path for path in Path(base_dir).rglob("*") if path.is_file())
        target = f"{base_name}.tar.gz"
        with (
            open(target, "wb") as file,
            gzip.GzipFile("", "wb", mtime=int(epoch), fileobj=file) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in files:
                entry = tarfile.TarInfo(path.as_posix())
                entry.size, entry.mtime, entry.mode = path.stat().st_size, int(epoch), 0o644
                with open(path, "rb") as content:
                    archive.addfile(entry, content)
        return target


def extension(name: str, sources: list[str]) -> Extension:
    """A module of the package."""
    return Extension(
        name,
        sources,
        include_dirs=["csrc"],
        define_macros=MACROS,
        depends=[*C_HEADERS, "setup.py"],
        extra_compile_args=[*compile_flags(), "-Wno-unused-function"],
        extra_link_args=link_flags(),
    )


setup(
    cmdclass={"build_ext": BuildCore, "sdist": SourceArchive},
    ext_modules=[
        *(extension(".".join(pyx.with_suffix("").parts), [str(pyx)]) for pyx in PYX),
        extension(SHARED, []),  # which Cython writes
    ],
)
