"""What must hold after each round, looked up where it cannot be glossed over.

The store is read beside the daemon, in one transaction; what providers were sent comes from their own
journals. The book only ever reads what is new, and remembers what it needs of the rest.
"""

import msgpack

from scene import STATES, database

# What a change of a connection says of it: event, state before, state behind.
MOVES = {("connected", None): "ACTIVE", ("refreshed", "ACTIVE"): "ACTIVE",
         ("in_doubt", "ACTIVE"): "IN_DOUBT", ("reauth", "ACTIVE"): "NEEDS_REAUTH",
         ("reauth", "IN_DOUBT"): "NEEDS_REAUTH", ("recovered", "IN_DOUBT"): "ACTIVE",
         ("recovered", "NEEDS_REAUTH"): "ACTIVE"}
NEW_SECRET = ("connected", "refreshed", "recovered")
ROTATING = ("strict", "grace")


class Story:
    """One connection, as its events tell it."""

    def __init__(self):
        self.state, self.generation = None, 0
        self.counts = {"in_doubt": 0, "reauth": 0, "lost_in_flight": 0}


class Presented:
    """One refresh token, as its provider saw it."""

    def __init__(self):
        self.entries = []  # those that could have spent it, or said that it was dead


class Book:
    """Of one world."""

    def __init__(self, world):
        self.w, self.seq = world, 0
        self.stories = {}     # account: Story
        self.tokens = {}      # (provider, fingerprint): Presented
        self.order = {}       # (provider, grant): fingerprints in the order of their first use
        self.of_account = {}  # account: [Presented]
        self.refusals = {}    # account: how often its provider refused a grant
        self.journal_at = {name: 0 for name in world.sims}
        self.waiting = {name: set() for name in world.sims}  # entries that are under way
        self.judged = set()   # tokens that were sent twice, and whose cause was looked for
        self.counts = {"events": 0, "token requests": 0, "lost_in_flight": 0, "in_doubt": 0,
                       "user_revoked": 0}

    def check(self):
        """After a round: everything."""
        self.read_journals()
        double = self.check_tokens()
        self.read_store()
        self.check_doubts(double)
        self.read_journals()
        self.check_deaths()
        self.check_idp()

    def wrong(self, what):
        self.w.wrong(what)

    # --- the providers

    def read_journals(self):
        """What came since the last time, and how those ended that were under way then."""
        for name, sim in self.w.sims.items():
            waiting, at = self.waiting[name], self.journal_at[name]
            for entry in sim.journal(min(waiting, default=at)):
                if entry["n"] >= self.journal_at[name]:
                    self.journal_at[name] = entry["n"] + 1
                    self.take_arrival(name, entry)
                    waiting.add(entry["n"])
                if entry["n"] in waiting and (
                        entry["done_at"] is not None or self.is_of_the_past(entry)):
                    waiting.remove(entry["n"])
                    self.take_outcome(name, entry)

    def is_of_the_past(self, entry):
        """Whether its provider was ended during it: nothing more will be written about it."""
        return any(at >= entry["at"] for at in self.w.halts)

    def take_arrival(self, provider, entry):
        fp, account = entry["fp"], entry["account"]
        self.counts["token requests"] += 1
        if account is None:
            self.wrong(f"{provider}: a refresh token came that was never given out")
            return
        if (provider, fp) not in self.tokens:
            self.tokens[provider, fp] = Presented()
            self.of_account.setdefault(account, []).append(self.tokens[provider, fp])
        order = self.order.setdefault((provider, entry["grant"]), [])
        if provider in ROTATING and fp in order and order[-1] != fp:
            self.wrong(f"{account}: a token was sent after its successor")
        if fp not in order:
            order.append(fp)

    def take_outcome(self, provider, entry):
        account = entry["account"]
        dead = entry["outcome"] in ("reuse", "dead", "unknown")
        if dead:
            self.refusals[account] = self.refusals.get(account, 0) + 1
        definite = entry["delivered"] and entry["status"] >= 300
        if account and (dead or entry["outcome"] in ("rotated", "kept") or not definite):
            entries = self.tokens[provider, entry["fp"]].entries
            entries.append(entry)
            entries.sort(key=lambda e: e["n"])

    def check_tokens(self):
        """A token that may be spent is sent once more at most. Gives {account: how many were}."""
        double = {}
        for account, tokens in self.of_account.items():
            provider = self.w.accounts[account].provider
            if provider not in ROTATING:
                continue
            for token in tokens:
                entries = token.entries
                reuse = sum(e["outcome"] == "reuse" for e in entries)
                if provider == "strict" and len(entries) > 2:
                    self.wrong(f"{account}: a token that may be spent was sent {len(entries)} times")
                if reuse > 1:
                    self.wrong(f"{account}: a spent token was sent {reuse} times outside its grace")
                if reuse or (provider == "strict" and len(entries) > 1):
                    double[account] = double.get(account, 0) + 1
                    self.check_cause(account, token)
        return double

    def check_cause(self, account, token):
        """The first reply must have been lost on its way, by nobody's fault here."""
        first, last = token.entries[0], token.entries[-1]
        if id(token) in self.judged:
            return
        self.judged.add(id(token))
        unreadable = first["outcome"] == "untouched"
        cut = any(first["at"] <= at <= last["at"] for at in self.w.interrupts)
        if first["delivered"] and not cut and not unreadable:
            self.wrong(f"{account}: a token was sent again although its reply had been delivered")

    # --- the store

    def read_store(self):
        handle = database(self.w.d)
        handle.execute("PRAGMA query_only = 1")
        handle.execute("BEGIN")
        try:
            events = handle.execute("SELECT seq, body FROM event WHERE seq > ? ORDER BY seq",
                                    (self.seq,)).fetchall()
            found = handle.execute("SELECT account, state, generation, reason FROM connection") \
                .fetchall()
            sound = handle.execute("PRAGMA integrity_check").fetchall()
        finally:
            handle.execute("ROLLBACK")
            handle.close()
        if sound != [("ok",)]:
            self.wrong(f"integrity_check: {sound}")
        for seq, body in events:
            if seq != self.seq + 1:
                self.wrong(f"seq: {self.seq} is followed by {seq}")
            self.seq = seq
            self.counts["events"] += 1
            self.take_event(msgpack.unpackb(body, raw=False))
        self.check_rows(found)

    def take_event(self, event):
        kind = event["type"]
        if kind == "incident" or event.get("reminder"):
            return
        account = event["account"]
        story = self.stories.setdefault(account, Story())
        behind = MOVES.get((kind, story.state))
        if behind is None:
            self.wrong(f"{account}: {kind} while {story.state}")
            behind = event.get("state")
        story.state = behind
        story.generation += kind in NEW_SECRET
        if event["state"] != behind or event["generation"] != story.generation:
            self.wrong(f"{account}: {kind} says {event['state']}, generation {event['generation']};"
                       f" it should be {behind}, {story.generation}")
        if kind == "in_doubt":
            self.counts["in_doubt"] += 1
            story.counts[kind] += 1
        if kind == "reauth":
            lost = event["reason"]["code"] == "lost_in_flight"
            name = "lost_in_flight" if lost else "reauth"
            story.counts[name] += 1
            self.counts["lost_in_flight" if lost else "user_revoked"] += 1

    def check_rows(self, found):
        """What is stored is what the events say, and nothing that was acknowledged is gone."""
        rows = {account: (STATES[state], generation) for account, state, generation, _ in found}
        for name, account in self.w.accounts.items():
            story = self.stories.get(name, Story())
            state, generation = rows.get(name, (None, 0))
            if (state, generation) != (story.state, story.generation):
                self.wrong(f"{name}: stored {state}, {generation}; its events say"
                           f" {story.state}, {story.generation}")
            if generation < account.floor:
                self.wrong(f"{name}: generation {account.floor} was acknowledged, {generation} is"
                           " stored")

    # --- both

    def check_doubts(self, double):
        for account, count in double.items():
            doubts = self.stories.get(account, Story()).counts["in_doubt"]
            if count > doubts:
                self.wrong(f"{account}: {count} tokens were sent twice, {doubts} were in doubt")

    def check_deaths(self):
        """Each NEEDS_REAUTH has its refusal, and a cause that is not ours."""
        for name, story in self.stories.items():
            account = self.w.accounts[name]
            deaths = story.counts["reauth"] + story.counts["lost_in_flight"]
            if account.provider != "idp" and deaths > self.refusals.get(name, 0):
                self.wrong(f"{name}: NEEDS_REAUTH {deaths} times, its provider refused"
                           f" {self.refusals.get(name, 0)} times")
            if story.counts["reauth"] > account.revocations:
                self.wrong(f"{name}: its grant died {story.counts['reauth']} times, its user ended"
                           f" it {account.revocations} times")
            lost = story.counts["lost_in_flight"]
            if lost and lost > story.counts["in_doubt"]:
                self.wrong(f"{name}: {lost} lost in flight, {story.counts['in_doubt']} in doubt")
            if lost and account.provider == "none":
                self.wrong(f"{name}: lost in flight, and its provider does not rotate")

    def check_idp(self):
        """The real provider counts by grant: a second use only as the probe of a doubt."""
        if not self.w.idp:
            return
        stats, reused, refused = self.w.idp.stats(), {}, {}
        for grant in stats["by_grant"].values():
            name = grant["account"]
            reused[name] = reused.get(name, 0) + grant["reused"]
            refused[name] = refused.get(name, 0) + grant["refused"]
        self.counts["idp requests"] = stats["refresh_requests"]
        story_of = {name: self.stories.get(name, Story()) for name in reused}
        # The counts were read behind the events; what came in between is looked at next time.
        self.read_store()
        for name, story in story_of.items():
            counts = story.counts
            if reused[name] > counts["in_doubt"]:
                self.wrong(f"{name}: {reused[name]} second uses, {counts['in_doubt']} in doubt")
            if counts["reauth"] + counts["lost_in_flight"] > refused[name]:
                # The refusal may be newer than the counts: asked once more.
                newer = sum(g["refused"] for g in self.w.idp.stats()["by_grant"].values()
                            if g["account"] == name)
                if counts["reauth"] + counts["lost_in_flight"] > newer:
                    self.wrong(f"{name}: more deaths than refusals")

    def at_rest(self):
        """Whether nothing is under way or to come by itself."""
        handle = database(self.w.d)
        try:
            return handle.execute(
                "SELECT (SELECT count(*) FROM intent) + (SELECT count(*) FROM connection WHERE"
                " state = ? AND NOT is_probed)", (STATES.index("IN_DOUBT"),)).fetchone()[0] == 0
        finally:
            handle.close()
