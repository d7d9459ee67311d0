#!/usr/bin/python3
"""A freeze that was acknowledged, while the store cannot be asked whom it has selected."""

import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
from audit_log import store
from harness import Daemon, run
from machine import LONG_MS
from scene import database, rows


class Unreadable:
    """The table of the parts of sweeps: parts can be begun, and nobody can read them."""

    def __init__(self, d):
        self.d = d
        names = [name for name, in rows(d, "SELECT name FROM pragma_table_info('sweep_part')")]
        columns = ", ".join("abs(-9223372036854775808) AS after_owner" if name == "after_owner" else name
                            for name in names)
        self.change("ALTER TABLE sweep_part RENAME TO kept", f"CREATE VIEW sweep_part AS SELECT {columns} FROM kept",
                    "CREATE TRIGGER begun INSTEAD OF INSERT ON sweep_part BEGIN INSERT INTO kept (sweep, provider, count)"
                    " VALUES (new.sweep, new.provider, new.count); END")

    def mend(self):
        self.change("DROP VIEW sweep_part", "ALTER TABLE kept RENAME TO sweep_part")

    def change(self, *statements):
        with contextlib.closing(database(self.d)) as handle:
            for statement in ("BEGIN IMMEDIATE", *statements, "COMMIT"):
                handle.execute(statement)


def test_not_known_yet(t):
    """A freeze that holds, and nobody can look up whom it has selected: nobody gets a secret until it is known."""
    d = t.use(Daemon({"providers": {"plain": {"kind": "static"}}}))
    c = d.client()
    ours, theirs = ([store(c, f"a{i}", owner) for i in range(20)] for owner in ("o", "p"))
    warm, cold = ours[:10], ours[10:]
    for connection in warm:
        c.ask("vend", owner="o", connection=connection)
    table = Unreadable(d)
    sweep = c.ask("connection.freeze", select={"owner": "o"})["sweep"]
    for which, connections in (("warm", warm), ("cold", cold)):
        t.eq({c.code("vend", owner="o", connection=connection) for connection in connections},
             {"store_unavailable"}, f"{which}: none of those that it has selected")
    t.eq({c.code("vend", owner="p", connection=connection) for connection in theirs}, {"store_unavailable"},
         "nor of those of which nobody knows")
    t.eq(c.code("connection.get", owner="o", connection=cold[0]), "store_unavailable", "nor what state it has")
    table.mend()
    t.eq({c.code("vend", owner="o", connection=connection) for connection in ours}, {"frozen"},
         "who comes first when it can be read is refused")
    t.eq({c.code("vend", owner="p", connection=connection) for connection in theirs}, {"ok"}, "the others are served")
    found = c.ask("sweep.get", sweep=sweep, wait=True, deadline_ms=LONG_MS)["sweep"]
    t.eq((found["state"], found["changed"]), ("done", 20), "and the freeze is done")


run([test_not_known_yet])
