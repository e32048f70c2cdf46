#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of what puts the benchmarks' results together: it must not believe everything."""
import sys
import unittest

sys.dont_write_bytecode = True
import plot
import results
import vtx

OUTPUT = """[native] bench calibration instructions=4000 ticks=4000: a tick is an instruction
[native] bench path=null unit=instructions min=9 median=9 p99=400 rounds=10000 user=1 kernel=8 index=1
[native] bench path=far missing: the machine has one CPU
[native] bench end
"""
COUNTS = "path -1 200 0 0 0 0 200 :\npath 1 10000 8 1 0 0 9990 : 401062 ffffffff80203b00\n"
ROW = {"path": "null", "part": "kernel", "title": "null call", "budget": 8, "peers": {"seL4": "404 (574)"}}

# A guest's function with its marks, and what Bochs's debugger writes of two rounds.
GUEST = {
    0x1000: ("round_hypercall", "mov    %rax,0x20(%rbp)"),
    0x1004: ("round_hypercall", "nopl   0x43420001(%rax)"),
    0x100b: ("round_hypercall", "vmmcall"),
    0x100e: ("round_hypercall", "nopl   0x43420002(%rax)"),
    0x1020: ("upcall_entry", "nopl   0x43420004(%rax)"),
    0x1027: ("upcall_entry", "nopl   0x0(%rax,%rax,1)"),
}
ALL = {address + n * 0x100: (name if function == "round_hypercall" else function, insn)
       for n, name in enumerate(vtx.PATHS) for address, (function, insn) in GUEST.items()}
LINE = "(0).[142591527] [0x000007e00f72] 0010:{:016x} (unk. ctxt): xor r10d, r10d            ; 4531d2\n"
ROUND = [0x1004, 0x100b, 0xffffffff8021b0c0, 0x401000, 0x1020, 0xffffffff8021b0c1, 0x1020, 0x100e, 0x1012]
VTX_OUTPUT = """[measure] bench calibration instructions=4000 ticks=3995: ticks are cycles
[measure] bench path=guest-null unit=cycles min=9 median=10 p99=400 rounds=10000 index=1
[measure] bench path=guest-call missing: no such service was given
[measure] bench end
"""


class Vtx(unittest.TestCase):
    def traced(self, *rounds):
        lines = ["lb 0x1004\n", "(0) Breakpoint 1, 0x0000000000001004 in ?? ()\n",
                 "(0) [0x000007e00004] 0010:0000000000001004 (unk. ctxt): nop ; 0f1f8001004243\n"]
        for addresses in rounds:
            lines += [LINE.format(address) for address in addresses]
        return vtx.read_trace(lines, vtx.find_marks(GUEST), (0x1000, 0x1fff))

    def test_marks(self):
        self.assertEqual(vtx.find_marks(GUEST), {0x1004: ("round_hypercall", 1), 0x100e: ("round_hypercall", 2),
                                                 0x1020: ("upcall_entry", 4)})

    def test_commands(self):
        told = vtx.commands(ALL, vtx.find_marks(ALL)).splitlines()
        self.assertEqual(told[:4], ["lb 0x1000", "lb 0x1004", "lb 0x1100", "lb 0x1104"])
        self.assertEqual(told[-4:], ["bpd 11", "bpd 12", "c", "q"])
        self.assertEqual(told.count("trace on"), vtx.CPUS * len(vtx.PATHS))
        self.assertEqual(told.count("trace on"), told.count("trace off"))

    def test_trace(self):
        count = self.traced(ROUND)["guest-null"]
        self.assertEqual({k: count[k] for k in ("kernel", "user", "guest", "there", "same", "rounds")},
                         {"kernel": 2, "user": 1, "guest": 3, "there": 1, "same": 1, "rounds": 1})
        self.assertEqual(count["trace"], ROUND[1:-2])

    def test_trace_most(self):
        longer = ROUND[:2] + [0xffffffff80200000] + ROUND[2:]
        count = self.traced(longer, ROUND, ROUND[:4], ROUND)["guest-null"]  # the third one was cut off
        self.assertEqual((count["kernel"], count["same"], count["rounds"]), (2, 2, 3))

    def test_join(self):
        counts = self.traced(ROUND)
        paths = vtx.join(VTX_OUTPUT, counts)
        self.assertEqual((paths["guest-null"]["median"], paths["guest-null"]["unit"]), (6, "instructions"))
        self.assertIn("missing", paths["guest-call"])
        vtx.join(VTX_OUTPUT.replace("median=10", "median=11"), counts)
        for words, output in (("clock says 12", VTX_OUTPUT.replace("median=10", "median=12")),
                              ("clock says 0", VTX_OUTPUT.replace("median=10", "median=0")),
                              ("4000 instructions take 8866", VTX_OUTPUT.replace("3995", "8866")),
                              ("guest-port: no round", VTX_OUTPUT.replace("guest-null", "guest-port")),
                              ("come to its end", VTX_OUTPUT.replace("bench end", ""))):
            with self.assertRaisesRegex(results.Bad, words):
                vtx.join(output, counts)
        counts["guest-null"]["rounds"] = 3
        with self.assertRaisesRegex(results.Bad, "are alike"):
            vtx.join(VTX_OUTPUT, counts)

    def test_join_two_cpus(self):
        output = VTX_OUTPUT.replace("guest-null", vtx.OTHER_CPU).replace("median=10", "median=1000")
        self.assertEqual(vtx.join(output, {vtx.OTHER_CPU: self.traced(ROUND)["guest-null"]})[vtx.OTHER_CPU]["there"], 1)


class Results(unittest.TestCase):
    def joined(self, output=OUTPUT, counts=COUNTS, unretired=None):
        return results.join(output, results.read_counts(counts), unretired or {})

    def refused(self, words, **changed):
        with self.assertRaisesRegex(results.Bad, words):
            self.joined(**changed)

    def test_join(self):
        paths = self.joined()
        self.assertEqual({k: paths["null"][k] for k in ("median", "kernel", "user", "guest", "same")},
                         {"median": 9, "kernel": 8, "user": 1, "guest": 0, "same": 9990})
        self.assertEqual(paths["far"], {"missing": "the machine has one CPU"})

    def test_unretired(self):
        guest = COUNTS.replace("8 1 0", "8 0 2")
        output = OUTPUT.replace("user=1 ", "")
        self.assertEqual(self.joined(output, guest, {"null": 1})["null"]["guest"], 2)
        self.refused("the clock says 9", output=output, counts=guest)

    def test_refused(self):
        self.refused("no calibration", output=OUTPUT.replace("calibration", ""))
        self.refused("come to its end", output=OUTPUT.replace("bench end", ""))
        self.refused("the clock says 10", output=OUTPUT.replace("median=9", "median=10"))
        self.refused("the clock says 9", counts=COUNTS.replace(" 8 1", " 7 1"))
        self.refused("2 instructions at user level", output=OUTPUT.replace("user=1", "user=2"))
        self.refused("are alike", counts=COUNTS.replace("9990", "4999"))
        self.refused("has no path 1", counts=COUNTS.replace("path 1", "path 2"))

    def test_compare(self):
        first, second = self.joined(), self.joined(OUTPUT.replace("p99=400", "p99=500"))
        results.compare(first, second)
        second["null"]["kernel"] += 1
        with self.assertRaisesRegex(results.Bad, "two runs differ"):
            results.compare(first, second)
        with self.assertRaisesRegex(results.Bad, "two runs differ"):
            results.compare(first, {"null": first["null"]})

    def test_cycles(self):
        output = OUTPUT.replace("unit=instructions", "unit=cycles")
        self.assertNotIn("same", self.joined(output, "")["null"])

    def test_judge(self):
        path = self.joined()["null"]
        self.assertEqual(results.judge(ROW, path), "")
        self.assertEqual(results.judge({**ROW, "budget": 7}, path), "above budget")
        self.assertEqual(results.judge({**ROW, "part": "whole"}, path), "above budget")
        self.assertEqual(results.judge(ROW, None), "not measured")
        self.assertEqual(results.judge(ROW, {"missing": "why"}), "why")
        self.assertEqual(results.judge(ROW, {"median": 9}), "no kernel part was counted")

    def test_plot(self):
        bar = 'height="16" fill="url(#{})"'
        picture = plot.draw([ROW], self.joined(), {})
        self.assertIn("8, budget 8", picture)
        self.assertIn(bar.format("within"), picture)
        self.assertIn(bar.format("above"), plot.draw([{**ROW, "budget": 7}], self.joined(), {}))


if __name__ == "__main__":
    unittest.main()
