"""A result as files: JSON, CSV, Markdown, HTML; and as a table for a terminal."""

import csv
import io
import json
import os

from . import report, tables

COLUMNS = ("case", "table", "kernel", "run", "first_byte", "up", "end", "gone", "cpu", "bytes",
           "faults", "waits", "exit_status")


def csv_of(result):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    steps = sorted({key for case in result["cases"] for run in case["runs"]
                    for key in run.get("steps", {})})
    writer.writerow([*COLUMNS, *("step_" + key for key in steps)])
    for case in result["cases"]:
        for number, run in enumerate(case["runs"], 1):
            first = [case["name"], case["table"], case["kernel"], run.get("round", number)]
            writer.writerow(first + [run.get(key) for key in COLUMNS[4:]] +
                            [run.get("steps", {}).get(key) for key in steps])
    return out.getvalue()


def write_all(result, folder):
    os.makedirs(folder, exist_ok=True)
    files = {"result.json": json.dumps(result, indent=1, ensure_ascii=False) + "\n",
             "result.csv": csv_of(result), "report.md": tables.markdown(result),
             "report.html": report.html_of(result)}
    for key, picture in report.charts_of(result).items():
        if not key.isidentifier():
            raise ValueError("%r is no part of a file's name" % key)
        files["chart-%s.svg" % key] = picture + "\n"
    for name, text in files.items():
        # A host that freezes meanwhile leaves the last one as it was.
        path = os.path.join(folder, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)


def text_of(result):
    return tables.plain(result)
