# SPDX-License-Identifier: GPL-2.0-only
"""What the programs of the suite and the instruction counter have printed, put together and judged."""
import re

LINE = re.compile(r"bench path=(\S+) (.*)")
CALIBRATION = re.compile(r"bench calibration instructions=(\d+) ticks=(\d+)")


class Bad(Exception):
    """A run that cannot be believed, and why."""


def number(text):
    return int(text) if re.fullmatch(r"\d+", text) else text


def leading(text):
    """The number that a peer's entry begins with: "404 (574)", "425+"."""
    return int(re.match(r"\d+", text)[0])


def read_lines(text):
    """The paths of a program's output: {name: {field: value}}; those that are missing have a field `missing`."""
    paths = {}
    for name, rest in LINE.findall(text):
        if rest.startswith("missing:"):
            paths[name] = {"missing": rest[len("missing:"):].strip()}
        else:
            paths[name] = dict((k, number(v)) for k, v in re.findall(r"(\w+)=(\S+)", rest))
    return paths


def read_counts(text):
    """The counter's file: {index: {kernel, user, guest, there, rounds, same, trace}}."""
    counts = {}
    for line in text.splitlines():
        head, _, trace = line.partition(":")
        index, rounds, kernel, user, guest, there, same = (int(n) for n in head.split()[1:])
        if index >= 0:
            counts[index] = {"kernel": kernel, "user": user, "guest": guest, "there": there, "rounds": rounds,
                             "same": same, "trace": [int(a, 16) for a in trace.split()]}
    return counts


def check_output(output):
    """Raises Bad if a program did not do all that it should."""
    if not CALIBRATION.search(output):
        raise Bad("the program printed no calibration")
    if "bench end" not in output:
        raise Bad("the program did not come to its end")


def join(output, counts, unretired):
    """
    Both, checked against each other: the clock and the counter must have seen the same. unretired: {path: guest
    instructions of a round that end in an exit}; the clock does not count those.
    """
    check_output(output)
    paths = read_lines(output)
    for name, path in paths.items():
        if "missing" in path or path["unit"] != "instructions":
            continue
        count = counts.get(path["index"])
        if count is None:
            raise Bad(f"{name}: the counter has no path {path['index']}")
        whole = count["kernel"] + count["user"] + count["guest"] - unretired.get(name, 0)
        if whole != path["median"]:
            raise Bad(f"{name}: the clock says {path['median']} instructions, the counter {whole}")
        if path.get("user", count["user"]) != count["user"]:
            raise Bad(f"{name}: {path['user']} instructions at user level were expected, {count['user']} counted")
        if count["same"] * 2 < count["rounds"]:
            raise Bad(f"{name}: only {count['same']} of {count['rounds']} rounds are alike")
        path.update({k: count[k] for k in ("kernel", "user", "guest", "there", "same")})
    return paths


def compare(first, second):
    """
    Raises Bad if two runs do not give the same numbers. How many rounds an interrupt of the timer met, and which, may
    differ: how long the boot took depends on when the host's disk answered.
    """
    for name in sorted(first.keys() | second.keys()):
        a, b = ({k: v for k, v in run.get(name, {}).items() if k not in ("min", "p99", "same")} for run in (first, second))
        if a != b:
            raise Bad(f"{name}: two runs differ: {a}, {b}")


def value(path, part):
    """The number of a row, None if there is none."""
    if path is None or "missing" in path:
        return None
    return path.get("median" if part in ("whole", "ratio") else part)


def judge(row, path):
    """What is wrong with a row: nothing (''), or words."""
    if path is None:
        return "not measured"
    if "missing" in path:
        return path["missing"]
    got = value(path, row["part"])
    if got is None:
        return f"no {row['part']} part was counted"
    return "above budget" if "budget" in row and got > row["budget"] else ""
