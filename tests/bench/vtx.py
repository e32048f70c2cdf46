# SPDX-License-Identifier: GPL-2.0-only
"""
The paths of a guest on VT-x: Bochs runs the same program as QEMU, and its debugger writes down each instruction of some
rounds of each path. What comes of it has the form of what counter.c counts. docs/bench.md says more.
"""
import collections
import os
import re
import subprocess

import results

CPUS = 2
WARMUP, STOPS = 200, 80  # stops before the trace of a path begins, and in it: one or two in each round
BEGIN, END, THERE = 1, 2, 4  # marks, see bench.h
KERNEL_BASE = 0xffff800000000000
QUANTUM = 5  # how many instructions a CPU executes, before it is the other one's turn and the clock advances
OTHER_CPU = "guest-event-other-cpu"  # the clock counts time, not both CPUs' instructions
TIMEOUT = 1800  # seconds, for what hangs
# By the function that has a path's rounds, in the order in which they are measured.
PATHS = {"round_hypercall": "guest-null", "round_cpuid": "guest-cpuid", "round_port": "guest-port",
         "round_words": "guest-call", "round_event": "guest-event", "round_event_other_cpu": OTHER_CPU}
MARK = re.compile(r"nopl +0x434200(\d\d)\(%rax\)")
INSTRUCTION = re.compile(r"\(\d+\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]+:([0-9a-f]+) ")


def find_marks(symbols):
    """{address: (function, kind)}, from {address: (function, instruction)}."""
    found = {}
    for address, (function, insn) in symbols.items():
        if mark := MARK.match(insn):
            found[address] = (function, int(mark[1], 16))
    return found


def commands(symbols, marks):
    """
    What the debugger is told. It overlooks a breakpoint at an instruction with which a CPU's turn begins, so each round
    has two, one behind the other; how often a round stops does not matter: a path has thousands of rounds.
    """
    before = dict(zip(sorted(symbols)[1:], sorted(symbols)))
    begins = {function: address for address, (function, kind) in marks.items() if kind == BEGIN}
    at = [address for function in PATHS for address in (before[begins[function]], begins[function])]
    told = [f"lb 0x{address:x}" for address in at] + [f"bpd {n + 1}" for n in range(len(at))]
    for n in range(1, len(at), 2):
        told += [f"bpe {n}", f"bpe {n + 1}", *["c"] * WARMUP]
        for switch, then in (("on", STOPS), ("off", 0)):
            for cpu in range(CPUS):
                told += [f"set $cpu = {cpu}", f"trace {switch}"]
            told += ["c"] * then
        told += [f"bpd {n}", f"bpd {n + 1}"]
    return "\n".join([*told, "c", "q"]) + "\n"


def place(address, guest):
    """Whose instruction it is."""
    if address >= KERNEL_BASE:
        return "kernel"
    return "guest" if guest[0] <= address <= guest[1] else "user"


def end_round(kinds, now):
    key = tuple(now[part] for part in ("kernel", "user", "guest", "there"))
    kinds.setdefault(key, {"same": 0, "trace": now["trace"]})["same"] += 1


def read_trace(lines, marks, guest):
    """The debugger's output, as counter.c counts: {path: {kernel, user, guest, there, rounds, same, trace}}."""
    rounds, now = collections.defaultdict(dict), None
    for line in lines:
        insn = INSTRUCTION.match(line)
        if not insn:
            continue
        address = int(insn[1], 16)
        function, kind = marks.get(address, (None, None))
        if kind == BEGIN:
            now = {"kernel": 0, "user": 0, "guest": 0, "there": 0, "trace": [], "path": PATHS.get(function)}
        elif now and kind == END:
            end_round(rounds[now["path"]], now)
            now = None
        elif now:
            if kind == THERE:
                now["there"] = now["there"] or now["kernel"]
            now[place(address, guest)] += 1
            now["trace"].append(address)
    counts = {}
    for path, kinds in rounds.items():
        key, most = max(kinds.items(), key=lambda item: item[1]["same"])
        counts[path] = {**dict(zip(("kernel", "user", "guest", "there"), key)), **most,
                        "rounds": sum(kind["same"] for kind in kinds.values())}
    return counts


def join(output, counts):
    """As results.join(), with a clock that is exact to a quantum."""
    results.check_output(output)
    instructions, ticks = (int(n) for n in results.CALIBRATION.search(output).groups())
    if abs(instructions - ticks) > QUANTUM:
        raise results.Bad(f"VT-x: {instructions} instructions take {ticks} ticks")
    paths = results.read_lines(output)
    for name, path in paths.items():
        if "missing" in path:
            continue
        count = counts.get(name)
        if count is None:
            raise results.Bad(f"VT-x, {name}: no round was seen")
        whole = count["kernel"] + count["user"] + count["guest"]
        if name != OTHER_CPU and abs(whole - path["median"]) > QUANTUM:
            raise results.Bad(f"VT-x, {name}: the clock says {path['median']} instructions, the debugger {whole}")
        if count["same"] * 2 < count["rounds"]:
            raise results.Bad(f"VT-x, {name}: only {count['same']} of {count['rounds']} rounds are alike")
        path.update({k: count[k] for k in ("kernel", "user", "guest", "there", "same")}, unit="instructions", median=whole)
    return paths


def machine(top, build, iso, name, symbols, guest):
    """Runs the guest's program on Bochs; its paths, and what was counted of them. All is left in BUILD/bench."""
    folder = os.path.join(build, "bench", name)
    marks = find_marks(symbols)
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/commands", "w", encoding="ascii") as file:
        file.write(commands(symbols, marks))
    try:
        done = subprocess.run([os.path.join(top, "boot/bochs"), os.path.join(build, "iso", iso), str(CPUS), folder],
                              env={**os.environ, "MODEL": "corei7_skylake_x", "DEBUGGER": f"{folder}/commands"},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise results.Bad(f"Bochs did not end within {TIMEOUT} s, see {folder}")
    output = done.stdout.decode(errors="replace")
    with open(f"{folder}/serial.log", "w", encoding="utf-8") as file:
        file.write(output)
    if done.returncode != 0:
        raise results.Bad(f"Bochs failed, see {folder}")
    with open(f"{folder}/debugger.log", encoding="utf-8", errors="replace") as lines:
        counts = read_trace(lines, marks, guest)
    return output, counts
