# SPDX-License-Identifier: GPL-2.0-only
"""The table as a picture: bars on a logarithmic scale. Patterns, shapes and labels say all; there is no colour."""
import math
from xml.sax.saxutils import escape

import results

WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 1160, 390, 150, 86, 52, 16
FIRST, LAST = 10, 10000  # of the scale

PATTERNS = """
<defs>
<pattern id="within" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="6" height="6" fill="white"/><line x1="0" y1="0" x2="0" y2="6" stroke="black" stroke-width="3"/></pattern>
<pattern id="above" width="6" height="6" patternUnits="userSpaceOnUse">
<rect width="6" height="6" fill="white"/><path d="M0 0L6 6M6 0L0 6" stroke="black" stroke-width="1.5"/></pattern>
<pattern id="forced" width="5" height="5" patternUnits="userSpaceOnUse">
<rect width="5" height="5" fill="white"/><circle cx="2.5" cy="2.5" r="1.1"/></pattern>
</defs>"""

# One shape for each peer, around 0, 0.
SHAPES = {
    "floor": "M-5 -5L5 -5L0 5Z",
    "seL4": "M-4.5 -4.5H4.5V4.5H-4.5Z",
    "NOVA": "M0 -5L5 5L-5 5Z",
    "KVM": "M0 -6L6 0L0 6L-6 0Z",
    "Xen": "M-5 -5L5 5M5 -5L-5 5",
}


def across(number):
    """Where a number is on the scale."""
    share = math.log(min(max(number, FIRST), LAST) / FIRST) / math.log(LAST / FIRST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def text(x, y, words, extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{escape(words)}</text>'


def bar(y, height, number, pattern, words):
    return (f'<rect x="{LEFT}" y="{y}" width="{across(number) - LEFT:.1f}" height="{height}" '
            f'fill="url(#{pattern})" stroke="black"/>' + text(across(number) + 7, y + height - 2, words))


def shape(name, x, y, words=""):
    return (f'<path d="{SHAPES[name]}" transform="translate({x:.1f} {y:.1f})" fill="white" stroke="black" '
            f'stroke-width="1.5"><title>{escape(f"{name} {words}")}</title></path>')


def legend():
    parts, x = [], 16
    for pattern, words in (("within", "within budget, or without"), ("above", "above budget"), ("forced", "mitigations on")):
        parts += [f'<rect x="{x}" y="34" width="26" height="12" fill="url(#{pattern})" stroke="black"/>',
                  text(x + 32, 44, words)]
        x += 52 + 6.2 * len(words)
    parts += [f'<path d="M{x} 32V48" stroke="black" stroke-width="4"/>', text(x + 8, 44, "budget")]
    x += 68
    for name in SHAPES:
        parts += [shape(name, x, 40), text(x + 11, 44, name)]
        x += 34 + 7 * len(name)
    return parts


def scale(bottom):
    parts, number = [], FIRST
    while number <= LAST:
        x = across(number)
        parts += [f'<line x1="{x:.1f}" y1="{TOP - 16}" x2="{x:.1f}" y2="{bottom}" stroke="black" stroke-dasharray="1 4"/>',
                  text(x, bottom + 14, str(number), 'text-anchor="middle"')]
        number *= 10
    return parts


def row_parts(y, row, path, forced):
    parts = [text(LEFT - 8, y + 14, f"{row['title']} ({row['part']})", 'text-anchor="end"')]
    number = results.value(path, row["part"])
    if number is None:
        parts.append(text(LEFT + 4, y + 13, results.judge(row, path), 'font-style="italic"'))
    else:
        words = f"{number}, budget {row['budget']}" if "budget" in row else str(number)
        parts.append(bar(y, BAR, number, "above" if results.judge(row, path) else "within", words))
    if (number := results.value(forced, row["part"])) is not None:
        parts.append(bar(y + BAR + 1, BAR - 4, number, "forced", str(number)))
    for name, peer in row.get("peers", {}).items():
        parts.append(shape(name, across(results.leading(peer)), y - 8, peer))
    if "budget" in row:
        x = across(row["budget"])
        parts.append(f'<path d="M{x:.1f} {y - 4}V{y + BAR + 4}" stroke="black" stroke-width="4"/>')
    return parts


def draw(rows, paths, forced):
    """The whole picture as SVG. forced: what was measured with mitigations on."""
    rows = [row for row in rows if row["part"] != "ratio"]
    bottom = TOP + ROW * len(rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 24}" '
             'font-family="sans-serif" font-size="12">', PATTERNS, '<rect width="100%" height="100%" fill="white"/>',
             text(16, 20, "Corbel: instructions of each path, counted (logarithmic scale)", 'font-size="15"')]
    parts += legend() + scale(bottom)
    for i, row in enumerate(rows):
        parts += row_parts(TOP + ROW * i, row, paths.get(row["path"]), forced.get(row["path"]))
    return "\n".join([*parts, "</svg>", ""])
