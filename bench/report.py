"""The tables of doc/performance.md, of what scripts/bench measured."""

import pathlib
import re

BEGIN, END = "<!-- scripts/bench writes from here -->", "<!-- to here -->"


def number(value):
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def ratio(row):
    median, least, most = row["ratio"]
    return f"{median:.2f} ({least:.2f}–{most:.2f})"


def goal(row):
    if row["goal"] is None:
        return "–"
    sign = "≥" if row["better"] == "more" else "≤"
    return f"{sign} {row['goal']} {'met' if row['met'] else '**not met**'}"


def both(row, key):
    return " / ".join(number(value) for value in row[key]) if key in row else "–"


def table(heads, lines):
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def compared(rows, limit):
    """Ratios, with what they come of: the limit's figure first."""
    unit = "µs, p50" if rows[0]["better"] == "less" else "a second"
    heads = ["", f"bursar : {limit}", "goal", unit, "server's CPU, µs a job"]
    has_latency = "p99_us" in rows[0]
    if has_latency:
        heads += ["p50, µs", "p99, µs", "p99.9, µs"]
    lines = []
    for row in rows:
        line = [row["what"], ratio(row), goal(row), f"{number(row['limit'])} / {number(row['bursar'])}",
                both(row, "server_cpu_us")]
        if has_latency:
            line += [both(row, key) for key in ("p50_us", "p99_us", "p999_us")]
        lines.append(line)
    return table(heads, lines)


def spread_of(values, unit):
    return f"{number(values[0])} ({number(values[1])}–{number(values[2])}) {unit}"


def sizes(rows):
    heads = ["connections", "puts a second", "resident, started", "with 10 000 vended", "disk for one",
             "disk : sealed", "start to ready"]
    return table(heads, [[
        number(row["connections"]), number(row["put_per_s"]), f"{row['rss_started_mib']:.0f} MiB",
        f"{row['rss_warm_mib']:.0f} MiB", f"{number(row['disk_bytes'])} B", f"{row['disk_ratio']:.2f}",
        spread_of(row["start_s"], "s")] for row in rows])


def refresh(rows):
    """The goal is on what the worker does itself. That a refresh is on the disk costs what stands behind it, and the
    whole is what a client sees."""
    heads = ["", "libcurl : worker, CPU a refresh", "goal", "with seals : worker", "libcurl / with seals / worker, µs",
             "store thread, µs", "waits for the disk", "whole daemon, µs", "libcurl / bursar, a second", "bursar : libcurl, a second"]
    return table(heads, [[
        row["what"], ratio(row), goal(row), ratio({"ratio": row["seals_ratio"]}),
        " / ".join(number(row[key]) for key in ("limit_cpu_us", "seals_cpu_us", "worker_cpu_us")),
        number(row["store_cpu_us"]), "–" if row["fsyncs"] is None else number(row["fsyncs"]),
        number(row["all_cpu_us"]), both(row, "per_s"), ratio({"ratio": row["throughput"]})] for row in rows])


def workers(row):
    return (f"{row['providers']} providers, each with a worker: {number(row['idle_kb'])} kB resident for one that has "
            f"nothing to do, {number(row['used_kb'])} kB for one that has refreshed, {number(row['resting_kb'])} kB for one "
            "whose thread has ended because it had nothing to do.")


def threads(rows):
    names = sorted({name for row in rows for name in row["us"]}, key=lambda name: -max(r["us"].get(name, 0) for r in rows))
    heads = ["CPU, µs a job", *names, "a second, by the busiest"]
    return table(heads, [[row["what"], *(number(row["us"][name]) if name in row["us"] else "–" for name in names),
                          number(1e6 / max(row["us"].values()))] for row in rows])


def herd(row):
    met = "met" if row["since_ms"][0] <= row["goal_ms"] else "**not met**"
    return (f"{number(row['vends'])} jobs wait for one flight: from before its commit to the last answer "
            f"{spread_of(row['since_ms'], 'ms')} (goal ≤ {row['goal_ms']} ms, {met}), from the first answer "
            f"{spread_of(row['answers_ms'], 'ms')}. ZeroMQ alone gives as many answers, to the same clients, in "
            f"{spread_of(row['alone_ms'], 'ms')}; bursar : ZeroMQ {ratio(row)}.")


def disturbed(rows):
    """The same figure with and without the others; alone first."""
    return table(["", "with : without", "goal", "without / with"],
                 [[row["what"], ratio(row), goal(row), f"{number(row['limit'])} / {number(row['bursar'])}"]
                  for row in rows])


def flat(rows):
    """The same figure of few and of many."""
    return table(["", "many : few", "goal", "p99, µs, few / many"],
                 [[row["what"], ratio(row), goal(row), f"{number(row['limit'])} / {number(row['bursar'])}"]
                  for row in rows])


def idle(row):
    threads = ", ".join(f"{name} {count:.2f}" for name, count in row["per_s"].items()) or "none"
    return (f"In {row['seconds']} s of a daemon that has nothing to do, wake-ups a second by thread: {threads}; "
            f"{row['cpu_ms_per_s']:.3f} ms of CPU a second.")


LIMITS = {"warm, latency": "echo", "warm, throughput": "echo", "warm, one connection, latency": "echo",
          "warm, one connection, throughput": "echo", "cold": "SQLite and unseal", "commits": "SQLite",
          "commits, SQLite with the planner's index": "SQLite",
          "two of ZeroMQ's threads": "by one"}


def text(tables, machine):
    parts = [machine]
    for name, rows in tables.items():
        if name in LIMITS:
            body = compared(rows, LIMITS[name])
        else:
            body = {"sizes": sizes, "refresh": refresh, "threads": threads, "mixed": disturbed, "cold, p99": flat,
                    "neighbours": disturbed, "workers": lambda r: workers(r[0]), "herd": lambda r: herd(r[0]),
                    "idle": lambda r: idle(r[0])}[name](rows)
        parts.append(f"### {name[0].upper()}{name[1:]}\n\n{body}")
    return "\n\n".join(parts)


def write(path, tables, machine):
    page = pathlib.Path(path).read_text(encoding="utf-8")
    inner = f"{BEGIN}\n\n{text(tables, machine)}\n\n{END}"
    page = re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: inner, page, flags=re.DOTALL)
    pathlib.Path(path).write_text(page, encoding="utf-8")
