#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
What the hypervisor's machine code must not contain, behind its first steps at boot (docs/security.md):

  test_branches.py ELF

- an indirect branch: others could have predicted where it leads;
- calls so deep that a processor forgets where the first ones return to, and predicts these returns as it predicts
  indirect branches. Without indirect branches, the code says exactly which function calls which;
- something between VERW, which empties the CPU's buffers, and the instruction that leaves the kernel: it could fill them.
"""
import re
import subprocess
import sys

BOOT_ENDS = "entry_text"  # corbel.ld: before it, the multiboot header and .text.boot
REMEMBERED = 16           # return addresses, on the processors that this is about (Skylake to Comet Lake)
DEEPEST = 3               # how often table_free_below() calls itself: once for each level of tables but the highest
LABEL = re.compile(r"([0-9a-f]+) <(.+)>:")
LINE = re.compile(r" *([0-9a-f]+):\t(.*)")
PREFIXES = re.compile(r"^(?:bnd|notrack|data16|cs|ds|es|rex\S*|rep\w*) +")
BRANCH = re.compile(r"(call|jmp|j\w+|loop\w*)\w* +([0-9a-f]+) <(.+?)(\+0x[0-9a-f]+)?>")
INDIRECT = re.compile(r"l?(call|jmp)\w* +\*")
LEAVES = re.compile(r"(sysret|iret|vmrun|vmlaunch|vmresume)")
NEVER_PAST = re.compile(r"(jmp|ret|iret|sysret|ud2|hlt)")


class Function:
    def __init__(self, name):
        self.name = name
        self.calls, self.jumps, self.interrupts = set(), set(), set()  # by address
        self.ends = None                       # with what: "call", "" (it goes on in the next one), or None
        self.last_call = self.next = None
        self.returns = self.interrupted = False
        self.depth = 0

    def add(self, text):
        """An instruction."""
        branch = BRANCH.match(text)
        target = int(branch[2], 16) - int(branch[4] or "0", 16) if branch else None
        called = branch and branch[1] == "call"
        if called and not (branch[3] == self.name and branch[4]):  # to its own middle: that fills the buffer
            self.calls.add(target)
        elif branch and not called and branch[3] != self.name:
            self.jumps.add(target)
        self.returns |= bool(re.match(r"ret\b", text))
        self.interrupted |= bool(re.match(r"sti\b", text))
        if not re.match(r"(nop|xchg +%ax,%ax)", text):
            self.ends = "call" if called else None if NEVER_PAST.match(text) else ""
            self.last_call = target if called else None


def parse(lines):
    """Functions by address, and the indirect branches behind BOOT_ENDS."""
    functions, indirect, last, booting = {}, [], None, True
    for line in lines:
        label, instruction = LABEL.match(line), LINE.match(line)
        if label:
            if last:
                last.next = int(label[1], 16)
            last = functions.setdefault(int(label[1], 16), Function(label[2]))
            booting &= label[2] != BOOT_ENDS
        elif instruction and last:
            text = PREFIXES.sub("", instruction[2].strip())
            if INDIRECT.match(text) and not booting:
                indirect.append("%s in %s: %s" % (instruction[1], last.name, text))
            last.add(text)
    return functions, indirect


def behind_verw(lines):
    """What comes next behind each VERW: instructions."""
    texts = [PREFIXES.sub("", m[2].strip()) for m in map(LINE.match, lines) if m]
    return [after for text, after in zip(texts, texts[1:]) if text.startswith("verw")]


def add_unseen(functions):
    """Jumps that are no instructions: interrupts, and what boot may write over virt_jump.S."""
    address = {f.name: at for at, f in functions.items()}
    for f in functions.values():
        if f.interrupted:
            f.interrupts = {at for at, g in functions.items() if g.name == "entry_kernel"}
        if f.name.startswith("virt_") and "vmx_" + f.name[5:] in address:
            f.jumps.add(address["vmx_" + f.name[5:]])


def depth(functions):
    """The deepest chain of calls that return, below each function. Who never returns forgets what was before."""
    add_unseen(functions)
    changed = True
    while changed:
        changed = False
        for f in functions.values():
            if f.next and (f.ends == "" or f.ends == "call" and functions[f.last_call].returns):
                f.jumps.add(f.next)
            if not f.returns and any(functions[at].returns for at in f.jumps):
                f.returns = changed = True
    changed = True
    while changed:
        changed = False
        for at, f in functions.items():
            own = DEEPEST if f.name == "table_free_below" else 0
            below = [functions[g].depth + 1 for g in f.calls if functions[g].returns and not (own and g == at)]
            below += [functions[g].depth for g in f.jumps if functions[g].returns]
            below += [functions[g].depth for g in f.interrupts]
            if max(below, default=0) + own > f.depth:
                f.depth = max(below) + own
                changed |= f.depth <= 2 * REMEMBERED  # else something calls itself
    return max(f.depth for f in functions.values())


def try_out():
    """What is forbidden is found."""
    def sees(*code):
        labels = [text[:-1] for text in code if text.endswith(":")]
        lines = ["0 <%s>:" % BOOT_ENDS]
        for text in code:
            if text.endswith(":"):
                lines.append("%x <%s>:" % (labels.index(text[:-1]) + 1, text[:-1]))
            else:
                lines.append(" 1:\t" + re.sub(r"<(\w+)>", lambda m: "%x <%s>" % (labels.index(m[1]) + 1, m[1]), text))
        functions, indirect = parse(lines)
        return len(indirect), depth(functions)

    assert behind_verw([" 1:\tverw   0x8(%rip)", "2 <a>:", " 2:\tnop"]) == ["nop"]
    assert sees("a:", "ret", "b:", "call <a>", "ret") == (0, 1)
    assert sees("a:", "notrack jmp *%rax", "b:", "call   *0x8(,%rcx,8)", "ret")[0] == 2
    assert sees("a:", "call <a>", "ret")[1] > REMEMBERED
    assert sees("b:", "je <c>", "ret", "c:", "call <b>", "nop", "d:", "ret")[1] > REMEMBERED
    assert sees("a:", "ud2", "b:", "call <a>", "nop", "c:", "ret") == (0, 0)
    assert sees("virt_f:", "jmp <svm_f>", "svm_f:", "ret", "g:", "ret", "h:", "call <virt_f>", "ret") == (0, 1)
    assert sees("virt_f:", "jmp <svm_f>", "svm_f:", "ret", "g:", "ret", "h:", "call <virt_f>", "ret",
                "vmx_f:", "call <g>", "ret") == (0, 2)
    assert sees("entry_kernel:", "call <g>", "iretq", "g:", "ret", "h:", "sti", "ret", "i:", "call <h>", "ret") == (0, 2)


def main(elf):
    try_out()
    code = subprocess.run(["objdump", "-d", "-w", "--no-show-raw-insn", elf], check=True, capture_output=True, text=True)
    lines = code.stdout.splitlines()
    functions, indirect = parse(lines)
    left = [LEAVES.match(text) for text in behind_verw(lines)]
    if not all(left) or {m[1] for m in left} != {"sysret", "iret", "vmrun", "vmlaunch", "vmresume"}:
        sys.exit("test_branches: behind VERW comes %s" % sorted(set(behind_verw(lines))))
    names = {f.name for f in functions.values()}
    missing = {BOOT_ENDS, "entry_syscall", "entry_kernel", "entry_ist", "call_make", "svm_exited", "vmx_exited",
               "kernel_exit", "trap_kernel", "virt_run", "vmx_run"} - names
    if missing or len(functions) < 400:
        sys.exit("test_branches: %u functions, without %s: not the hypervisor" % (len(functions), sorted(missing)))
    for branch in indirect:
        print("test_branches: an indirect branch, %s" % branch)
    deepest = depth(functions) + max(f.depth for f in functions.values() if f.name == "entry_ist")  # NMIs come at any time
    print("test_branches: %u functions, %u indirect branches, calls %u deep" % (len(functions), len(indirect), deepest))
    if not 4 <= deepest <= REMEMBERED:
        for f in sorted(functions.values(), key=lambda f: -f.depth)[:20]:
            print("  %3u %s" % (f.depth, f.name))
    return bool(indirect) or not 4 <= deepest <= REMEMBERED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
