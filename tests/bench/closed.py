#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
Boots an ISO with the plugin closed.c, and shows the longest stretches that a CPU executed without a chance for
interrupts, of each kind one, with functions. docs/bounded-work.md says what they are.

    tests/bench/closed.py BUILD ISO [QEMU OPTIONS ...]

BUILD is the output folder of make, ISO the name of one there. What the system printed, and what the plugin found, stay in
BUILD/bench/closed-ISO.log and .txt. A system that does not end by itself is ended after LIMIT (seconds) in the environment.
"""
import bisect
import os
import re
import subprocess
import sys

VICTIM = re.compile(r"victim (\d+) (\d+) (\d+) (\d+) (\d+)")
PHASE = re.compile(r"hostile: phase (\d+): \d+ steps: (.*)")
LINE = re.compile(r"closed (\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) : ?(.*)")
FUNCTIONS = 6  # those shown of a stretch, and the last ones before its end
KINDS = 12     # shown
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# One clock for all CPUs, which counts instructions: the same in each run. A CPU that waits for a lock lets the others run.
MACHINE = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"]


class Symbols:
    """The functions of an ELF file."""

    def __init__(self, elf):
        text = subprocess.run(["nm", "-n", "--defined-only", elf], check=True, capture_output=True, text=True).stdout
        found = [line.split() for line in text.splitlines()]
        self.names = [(int(address, 16), name) for address, kind, name in found if kind in "tT"]
        self.addresses = [address for address, _ in self.names]

    def name(self, address):
        at = bisect.bisect_right(self.addresses, address) - 1
        return self.names[at][1] if at >= 0 else hex(address)


def read(path):
    """[(count, cpu, start, end, [(address, count)])], the longest first."""
    stretches = []
    with open(path, encoding="ascii") as file:
        for line in file:
            if not (found := LINE.match(line)):
                continue
            count, cpu, start, end, runs = found.groups()
            runs = [run.split("*") for run in runs.split()]
            stretches.append((int(count), int(cpu), int(start, 16), int(end, 16), [(int(a, 16), int(n)) for a, n in runs]))
    return stretches


def read_victims(path, output):
    """[(attack, cpu, percent that the victim got, longest gap in us)]: a microsecond is 1,000 instructions of its CPU."""
    names = [name for _, name in PHASE.findall(output)]
    found = []
    with open(path, encoding="ascii") as file:
        for line in file:
            if not (numbers := VICTIM.match(line)):
                continue
            phase, cpu, whole, own, gap = (int(n) for n in numbers.groups())
            found.append((names[phase - 1] if phase <= len(names) else "?", cpu, 100 * own / whole, gap / 1000))
    return found


def describe(stretch, symbols):
    """One stretch in a line: how long, from where to where, where most of it was, and what ran last."""
    count, cpu, start, end, runs = stretch
    sums, last = {}, []
    for address, n in runs:
        name = symbols.name(address)
        sums[name] = sums.get(name, 0) + n
        if not last or last[-1] != name:
            last.append(name)
    known = sum(sums.values()) or 1
    most = sorted(sums.items(), key=lambda item: -item[1])[:FUNCTIONS]
    shares = ", ".join(f"{name} {100 * n // known}%" for name, n in most)
    return (f"{count} instructions on CPU {cpu}, {symbols.name(start)} to {symbols.name(end)} ({shares}; "
            f"at last {' '.join(last[-FUNCTIONS:])})")


def machine(build, iso, name, options, seconds):
    """
    Boots an ISO until it ends or its time is over: (what the machine printed, the stretches, whether it ended as it should).
    Files stay in BUILD/bench.
    """
    os.makedirs(os.path.join(build, "bench"), exist_ok=True)
    log, found = (os.path.join(build, "bench", f"closed-{name}.{kind}") for kind in ("log", "txt"))
    if os.path.exists(found):
        os.remove(found)
    command = [os.path.join(TOP, "boot/qemu"), os.path.join(build, "iso", f"{iso}.iso"), *MACHINE,
               *(["-smp", "3"] if iso == "hostile" else []),
               "-plugin", f"{build}/tests/bench/closed.so,out={found}{',victim=on' if iso == 'hostile' else ''}", "-serial", f"file:{log}", *options]
    with subprocess.Popen(command, env={**os.environ, "ACCEL": "tcg"}, stdin=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as qemu:
        try:
            qemu.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            qemu.terminate()
    with open(log, encoding="utf-8", errors="replace") as output:
        return output.read(), read(found), qemu.returncode == 0


def main():
    build, iso, options = sys.argv[1], sys.argv[2], sys.argv[3:]
    output, stretches, _ = machine(build, iso, iso, options, int(os.environ.get("LIMIT", "1800")))
    symbols = Symbols(os.path.join(build, "hypervisor/corbel.elf"))
    print("\n".join(output.splitlines()[-3:]))
    for stretch in stretches[:KINDS]:
        print(describe(stretch, symbols))
    for name, cpu, percent, gap in read_victims(os.path.join(build, "bench", f"closed-{iso}.txt"), output):
        print(f"victim on CPU {cpu}: {percent:5.1f} % of its CPU, longest gap {gap:8.1f} us: {name}")


if __name__ == "__main__":
    main()
