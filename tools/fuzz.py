"""Feed Calotype with mutants: `python tools/fuzz.py files|pictures|weights|bounds --count N --seed S --jobs J`.

    files      coded files of every codec, with right checksums    -> decode
    pictures   image files of every format that is read            -> read, encode without loss, decode, write
    weights    weights archives of every codec, checksums right    -> load, encode, decode
    bounds     small images of every mode and kind, not damaged    -> encode within a bound, decode, compare

An image or a `CalotypeError` is right. All else is a finding: other exceptions, another image than a lossless file
holds, more processor time or memory than a small file is worth, a process that ends. Mutants run in child processes,
so that the last two are seen; each comes from a number alone. So a run can be continued (`--seed` where the last one
ended) and a finding be repeated (`--seed` of the finding, `--count 1`). Findings are written to `--out`.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from typing import Any

PATIENCE = 30  # seconds without progress for each that a mutant may compute: the machine may have other work
START = 3600  # seconds to load a target, however much other work the machine has
FRAMES = 3  # of a traceback that tell findings apart


@dataclass(frozen=True)
class Finding:
    seed: int
    what: str
    where: str = ""
    mutant: bytes = b""


def main() -> int:
    arguments = _parse()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background, too
    run = Run(arguments)
    try:
        run.go()
    except KeyboardInterrupt:
        print("interrupted")
    finally:
        run.stop()
    run.report()
    return bool(run.found)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("files", "pictures", "weights", "bounds"))
    parser.add_argument("--count", type=int, default=10_000, help="how many mutants")
    parser.add_argument("--seed", type=int, default=0, help="number of the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seconds", type=int, default=20, help="processor time that one may take")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="folder for findings")
    return parser.parse_args()


class Run:
    """Child processes, each with every `jobs`-th number, and what they said."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._kind, self._seconds, self._out = arguments.kind, arguments.seconds, arguments.out
        self._begin, self._end = arguments.seed, arguments.seed + arguments.count
        self._step = arguments.jobs
        self._context = multiprocessing.get_context("spawn")
        self._children: dict[Connection, Child] = {}
        self._next = {job: self._begin + job for job in range(arguments.jobs)}
        self.outcomes: Counter[str] = Counter()
        self.found: dict[str, list[Finding]] = {}
        self._started = self._spoke = time.monotonic()

    def go(self) -> None:
        """Try all mutants."""
        for job in self._next:
            self._start(job)
        while self._children:
            ready = wait([*self._children], timeout=1)
            for connection in ready:
                self._hear(self._children[connection])  # type: ignore[index]
            self._look_after_silent_ones()
            if time.monotonic() - self._spoke > 60:
                self._speak()

    def _start(self, job: int) -> None:
        if self._next[job] >= self._end:
            return
        ours, theirs = self._context.Pipe(duplex=False)
        seeds = range(self._next[job], self._end, self._step)
        process = self._context.Process(target=work, args=(self._kind, seeds, self._seconds, theirs), daemon=True)
        process.start()
        theirs.close()
        self._children[ours] = Child(job, process, ours, time.monotonic() + START)

    def _hear(self, child: Child) -> None:
        try:
            outcome: str | Finding | None = child.connection.recv()
        except EOFError:
            self._bury(child, _cause_of_death(child))
            return
        child.deadline = time.monotonic() + PATIENCE * self._seconds
        if outcome is None:  # loaded
            child.loaded = True
            return
        self._next[child.job] += self._step
        if isinstance(outcome, Finding):
            self._find(outcome)
        else:
            self.outcomes[outcome] += 1

    def _bury(self, child: Child, what: str) -> None:
        """Go on behind the mutant that a process died of."""
        child.process.kill()
        child.process.join()
        del self._children[child.connection]
        seed = self._next[child.job]
        if seed >= self._end:
            return
        if not child.loaded:
            raise SystemExit("the mutants cannot be made; see above")
        self._find(Finding(seed, what, mutant=load(self._kind).make(Random(seed))[0]))
        self._next[child.job] += self._step
        self._start(child.job)

    def _look_after_silent_ones(self) -> None:
        for child in [*self._children.values()]:
            if time.monotonic() > child.deadline:
                self._bury(child, f"it hangs: nothing for {PATIENCE * self._seconds} s")

    def _find(self, finding: Finding) -> None:
        """Note a finding; the first of its kind is written and told."""
        self.outcomes["FINDING"] += 1
        kind = f"{finding.what} {finding.where}"
        known = self.found.setdefault(kind, [])
        known.append(finding)
        if len(known) > 1:
            return
        self._out.mkdir(parents=True, exist_ok=True)
        path = self._out / f"{self._kind}-{finding.seed}.mutant"
        path.write_bytes(finding.mutant)
        print(f"seed {finding.seed}: {kind}\n  {path}", flush=True)

    def _speak(self) -> None:
        self._spoke = time.monotonic()
        done = sum(self.outcomes.values())
        rate = done / (self._spoke - self._started)
        print(f"{done:,} mutants, {rate:,.0f}/s, all below {min(self._next.values())}", flush=True)

    def stop(self) -> None:
        for child in self._children.values():
            child.process.kill()

    def report(self) -> None:
        """Say what became of the mutants."""
        for outcome, count in sorted(self.outcomes.items()):
            print(f"{count:10,}  {outcome}")
        print(f"{sum(self.outcomes.values()):10,}  in all, {time.monotonic() - self._started:.0f} s")
        for kind, findings in self.found.items():
            print(f"{len(findings)} x {kind}: seeds {', '.join(str(finding.seed) for finding in findings[:5])}")
        print(f"go on with --seed {min(min(self._next.values()), self._end)}")


@dataclass
class Child:
    job: int
    process: Any
    connection: Connection
    deadline: float
    loaded: bool = False


def _cause_of_death(child: Child) -> str:
    child.process.join(10)
    code = child.process.exitcode
    if code == -signal.SIGPROF:
        return "it takes too long"
    return f"the process ended: {signal.Signals(-code).name if code and code < 0 else code}"


# --- in the children --------------------------------------------------------------------------------------------------


def load(kind: str) -> Any:
    """The target."""
    return importlib.import_module(f"fuzzing.{kind}").Target()


def work(kind: str, seeds: range, seconds: int, connection: Connection) -> None:
    """Try mutants, and send a word on each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    target = load(kind)
    limit = _taken() + target.memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send(None)
    for seed in seeds:
        signal.setitimer(signal.ITIMER_PROF, seconds)  # of all threads, in C too; it ends the process
        connection.send(attempt(target, seed))
    signal.setitimer(signal.ITIMER_PROF, 0)


def attempt(target: Any, seed: int) -> str | Finding:
    """What became of one mutant."""
    data, attempted = target.make(Random(seed))
    try:
        return attempted()
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
        return Finding(seed, f"{type(error).__name__}: {str(error)[:100]}", where, data)


def _taken() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
