"""The table of a run, and where it stands in the documentation."""

import os
import platform
import re
import time

BEGIN, END = "<!-- torture: begin -->", "<!-- torture: end -->"


def table(run):
    """What was tried, how often, and what came of it, in Markdown."""
    world, counts = run.world, run.book.counts
    lines = [f"`scripts/torture {run.rounds} --seed {run.seed}`, {time.strftime('%Y-%m-%d')},"
             f" {os.cpu_count()} processors, Linux {platform.release()}:"
             f" {run.rounds} rounds in {run.seconds / 60:.0f} min;"
             f" {world.answers} answers, {counts['token requests']} token requests at the scripted"
             f" providers, {counts.get('idp requests', 0)} at oidc-provider, {counts['events']} events;"
             f" the slowest start took {world.slowest_start_s:.1f} s.",
             "",
             "| fault | rounds | answers | token requests | in doubt | lost replies | promises broken |",
             "|---|---|---|---|---|---|---|"]
    for line in run.lines.values():
        if line.rounds:
            lines.append(f"| {line.fault.title} | {line.rounds} | {line.answers} | {line.requests} |"
                         f" {line.in_doubt} | {line.lost} | {line.wrongs} |")
        elif line.fault.key in run.skipped:
            lines.append(f"| {line.fault.title} | not tried: {run.skipped[line.fault.key]} | | | | | |")
    total = list(run.lines.values())
    lines.append(f"| **all** | {sum(x.rounds for x in total)} | {sum(x.answers for x in total)} |"
                 f" {sum(x.requests for x in total)} | {sum(x.in_doubt for x in total)} |"
                 f" {sum(x.lost for x in total)} | {len(run.broken)} |")
    lines += [f"\nBroken in round {number} ({key}): {what}"
              for what, (number, key) in run.broken.items()]
    lines += [f"\n{note}" for note in world.notes]
    return "\n".join(lines)


def write(page, text):
    """Puts it between the marks of the page."""
    with open(page, encoding="utf-8") as file:
        old = file.read()
    new = re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n{text}\n{END}", old,
                 flags=re.DOTALL)
    if BEGIN not in old or END not in old:
        raise SystemExit(f"{page} has no place for the table")
    with open(page + ".new", "w", encoding="utf-8") as file:
        file.write(new)
    os.replace(page + ".new", page)
