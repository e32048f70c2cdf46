#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of what puts the benchmarks' results together: it must not believe everything."""
import sys
import unittest

sys.dont_write_bytecode = True
import plot
import results

OUTPUT = """[native] bench calibration instructions=4000 ticks=4000: a tick is an instruction
[native] bench path=null unit=instructions min=9 median=9 p99=400 rounds=10000 user=1 kernel=8 index=1
[native] bench path=far missing: the machine has one CPU
[native] bench end
"""
COUNTS = "path -1 200 0 0 0 0 200 :\npath 1 10000 8 1 0 0 9990 : 401062 ffffffff80203b00\n"
ROW = {"path": "null", "part": "kernel", "title": "null call", "budget": 8, "peers": {"seL4": "404 (574)"}}


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
