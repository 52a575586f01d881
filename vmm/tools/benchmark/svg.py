"""Bars of phases as plain SVG. Knows nothing of what the phases are."""

import math
from html import escape

WIDTH = 900
LABEL = 250
RIGHT = 70
ROW = 24
BAR = 15


def text(x, y, words, **attributes):
    extra = "".join(' %s="%s"' % (key.replace("_", "-"), value)
                    for key, value in attributes.items())
    return '<text x="%.1f" y="%.1f"%s>%s</text>' % (x, y, extra, escape(words))


def rect(x, y, width, height, fill, title):
    return ('<rect x="%.2f" y="%.1f" width="%.2f" height="%.1f" fill="%s" stroke="#fff" '
            'stroke-width="0.5"><title>%s</title></rect>' %
            (x, y, max(width, 0.6), height, fill, escape(title)))


def nice_step(highest):
    """Of 1, 2 and 5 times a power of ten, one that gives 4 to 9 lines."""
    step = 1.0
    while step * 10 <= highest:
        step *= 10
    while step > highest:
        step /= 10
    for divisor in (5, 2, 1):
        if highest / (step / divisor) <= 9:
            return step / divisor
    return step


def legend(phases, y):
    parts, x = [], LABEL
    for phase, shade in phases.items():
        width = 32 + 7.1 * len(phase)
        if x + width > WIDTH:
            x, y = LABEL, y + 16
        parts.append(rect(x, y - 9, 12, 10, shade, phase))
        parts.append(text(x + 16, y, phase))
        x += width
    return parts, y


def bars(rows, phases, unit, title):
    """rows: (label, {phase: amount}, a text at the end); phases: {phase: shade}, in the order of a
    bar. Returns an SVG element."""
    highest = max(sum(amounts.values()) for _, amounts, _ in rows) or 1
    if not 0 < highest < math.inf:
        raise ValueError("no bar can be %r long" % highest)
    scale = (WIDTH - LABEL - RIGHT) / highest
    parts, y = legend(phases, 34)
    top = y + 14
    bottom = top + ROW * len(rows)
    step = nice_step(highest)
    for i in range(int(highest / step) + 1):
        x = LABEL + i * step * scale
        parts.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#ddd"/>' %
                     (x, top, x, bottom))
        parts.append(text(x, bottom + 14, "%g" % (i * step), text_anchor="middle", fill="#555"))
    for number, (label, amounts, end) in enumerate(rows):
        at, x = top + ROW * number, LABEL
        weight = "bold" if label.startswith("vmm") else "normal"
        parts.append(text(LABEL - 8, at + 15, label, text_anchor="end", font_weight=weight))
        for phase, shade in phases.items():
            amount = amounts.get(phase, 0)
            if amount > 0:
                parts.append(rect(x, at + 4, amount * scale, BAR, shade,
                                  "%s: %.2f %s" % (phase, amount, unit)))
                x += amount * scale
        parts.append(text(x + 5, at + 15, end, fill="#222"))
    parts.append(text(WIDTH - RIGHT, bottom + 30, unit, text_anchor="end", fill="#555"))
    head = text(0, 14, title, font_weight="bold", font_size="14")
    return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
            'font-family="Helvetica, Arial, sans-serif" font-size="12" role="img">%s%s</svg>' %
            (WIDTH, bottom + 38, WIDTH, bottom + 38, head, "".join(parts)))
