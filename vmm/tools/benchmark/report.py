"""The report: one HTML file that needs no other, with bars of phases, for screen and paper."""

from html import escape

from . import host, svg, tables

STYLE = """
body { font: 15px/1.45 Georgia, 'Times New Roman', serif; max-width: 920px; margin: 2em auto;
  padding: 0 1em; color: #111; background: #fff; }
h1 { font-size: 1.7em; margin-bottom: .2em; } h2 { font-size: 1.2em; margin: 1.8em 0 .3em; }
table { border-collapse: collapse; font: 12.5px/1.4 Helvetica, Arial, sans-serif; margin: .6em 0; }
th, td { padding: .22em .7em .22em 0; text-align: right; border-bottom: 1px solid #ddd;
  vertical-align: top; }
th { border-bottom: 1.5px solid #111; font-weight: bold; }
th:first-child, td:first-child, td.words, th.words { text-align: left; }
tr.ours td { font-weight: bold; } td.no { font-weight: bold; color: #a00; }
.warning { border-left: 4px solid #a00; padding: .3em .8em; background: #faf3f0; }
.small, code { font-size: 12px; } code { overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; margin: .6em 0; }
section { break-inside: avoid-page; }
@media print { body { font-size: 10.5pt; margin: 0; max-width: none; } h2 { break-after: avoid; }
  table { font-size: 8pt; } .small, code { font-size: 7pt; } }
"""

# The phases of a bar: of vmm by its own steps, of others what can be seen from outside.
LOAD, MACHINE, KERNEL, INIT, DOWN, AFTER = (
    "program and its options", "machine made", "kernel and tables loaded", "guest to its init",
    "end", "processes left over")
START = "start of the program"
LEAST_REST = 300_000
# In the order of a bar. Light and dark, so that they differ in black and white.
PHASES = {LOAD: "#0f2537", MACHINE: "#2f6690", KERNEL: "#7fb0d0", START: "#555f68",
          INIT: "#cfdfe8", DOWN: "#e0a458", AFTER: "#f3e3cb"}


def steps_of(case):
    return {key: value["median"] for key, value in case["steps"].items()}


def phases_of(result, case):
    """Amounts in millions: {phase: amount}, their sum is exec → all gone."""
    up, end, gone = (case["summary"][key]["median"] for key in ("up", "end", "gone"))
    steps = steps_of(case)
    if {"options", "devices", "run"} <= set(steps):
        run = min(steps["run"], up)
        amounts = {LOAD: steps["options"], MACHINE: steps["devices"] - steps["options"],
                   KERNEL: run - steps["devices"]}
    else:
        first = next((one["first_entry"] for one in result["exits"]
                      if one["case"] == case["name"]), None)
        run = min(first or 0, up)
        amounts = {START: run}
    if case["kernel"]:
        amounts[INIT] = up - run
    else:
        amounts[START] = up
    amounts[DOWN] = end - up
    # Less is the time in which it was looked for others.
    if gone - end > LEAST_REST:
        amounts[AFTER] = gone - end
    return {phase: amount / 1e6 for phase, amount in amounts.items()}


def chart(result, key, title):
    """(the bars as SVG, the labels of those that are too long for it)."""
    rows = []
    for case in tables.cases_of(result, key):
        kernel = {"elf": ", ELF", "bz": ", bzImage"}.get(case["kernel"], "")
        rows.append((case["label"] + kernel, phases_of(result, case),
                     tables.figure(case["summary"]["end"])))
    if not rows:
        return "", []
    # What is twenty times the median would leave nothing of the others.
    ends = sorted(sum(amounts.values()) for _, amounts, _ in rows)
    limit = 20 * ends[len(ends) // 2]
    left_out = [label for label, amounts, _ in rows if sum(amounts.values()) > limit]
    rows = [row for row in rows if sum(row[1].values()) <= limit]
    used = {phase: shade for phase, shade in PHASES.items()
            if any(row[1].get(phase) for row in rows)}
    return svg.bars(rows, used, tables.unit_of(result), title + ": exec → reaped"), left_out


def charts_of(result):
    """The charts by themselves: {key of the table: SVG}."""
    found = {key: chart(result, key, title)[0] for key, title, _ in result["tables"]}
    return {key: picture for key, picture in found.items() if picture}


def chart_html(result, key, title):
    picture, left_out = chart(result, key, title)
    if left_out:
        picture += "<p class=small>Too long for this chart: %s.</p>" % escape(", ".join(left_out))
    return picture


def cell(tag, content, index, row):
    words = index == 0 or tables_words(row, index)
    classes = "words" if words else "no" if content == "NO" else ""
    return "<%s%s>%s</%s>" % (tag, ' class="%s"' % classes if classes else "", escape(content), tag)


def tables_words(row, index):
    """A column of words, not of figures."""
    return len(row[index]) > 14 and not row[index][:1].isdigit()


def table(rows):
    out = ["<table><thead><tr>%s</tr></thead><tbody>" % "".join(
        cell("th", content, i, rows[0]) for i, content in enumerate(rows[0]))]
    for row in rows[1:]:
        ours = ' class="ours"' if row[0].startswith("vmm") else ""
        out.append("<tr%s>%s</tr>" % (ours, "".join(
            cell("td", content, i, row) for i, content in enumerate(row))))
    return "".join(out) + "</tbody></table>"


def head(result):
    parts = ["<h1>What a start costs</h1>", "<p>%s · all values in %s</p>" % (
        escape(result["made"][:10] if result["clock"] == "time" else "in instructions"),
        escape(tables.unit_text(result)))]
    parts += ['<p class="warning">%s</p>' % escape(text) for text in result["warnings"]]
    parts += ["<p>%s</p>" % escape(text) for text in tables.host_lines(result)]
    parts.append("<p>Clock zero is exec of the program, seen from outside. <em>Up</em> is the line "
                 "of the init on its console; a run without it does not count. <em>Reaped</em> "
                 "is when the program has ended and was waited for, <em>all gone</em> when the "
                 "last process that it left behind has ended too. CPU is the processor time of "
                 "it and all that it started, the guest's included.</p>")
    if result["clock"] == "instructions":
        parts.append("<p class=small>What distorts such figures: %s.</p>" % escape(
            "; ".join(host.DISTORTIONS)))
    return parts


def commands(result):
    rows = "".join("<p class=small><b>%s</b><br><code>%s</code></p>" % (
        escape(case["name"]), escape(" ".join(quoted(word) for word in case["argv"])))
        for case in result["cases"])
    return "<section><h2>Command lines</h2>%s</section>" % rows


def quoted(word):
    return "'%s'" % word if " " in word or not word else word


def html_of(result):
    charts = {title: chart_html(result, key, title) for key, title, _ in result["tables"]}
    parts = head(result)
    for title, words, rows in tables.sections(result):
        parts.append("<section><h2>%s</h2><p>%s</p>%s%s</section>" % (
            escape(title), escape(words), charts.get(title, ""), table(rows)))
    parts.append("<section><h2>Files</h2>%s</section>" % table(tables.file_rows(result)))
    parts.append(commands(result))
    parts.append("<p class=small>Host's command line: <code>%s</code></p>" %
                 escape(result["host"]["command_line"]))
    return ("<!DOCTYPE html><html lang=en><meta charset=utf-8><title>What a start costs</title>"
            "<style>%s</style><body>%s</body></html>\n" % (STYLE, "\n".join(parts)))
