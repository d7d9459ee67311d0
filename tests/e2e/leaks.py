"""Every secret the tests know, and the search for them where they must not be."""

import base64
import binascii
import json
import os
import shutil
import subprocess
import tempfile
import urllib.parse

MIN_LENGTH = 8  # a shorter one is found everywhere
GREP_TIMEOUT_S = 120


def _base64_forms(data):
    """What stays of a secret inside the base64 of something longer, at each of three offsets."""
    forms = set()
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + data)
        head = (offset * 8 + 5) // 6  # characters that also hold bits of what stands before
        inner = whole[head:len(whole.rstrip(b"=")) - (1 if (offset + len(data)) % 3 else 0)]
        forms |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return forms


def _url_forms(text):
    quoted = urllib.parse.quote(text, safe="")
    plus = urllib.parse.quote_plus(text)
    lower = "%".join(part if i == 0 else part[:2].lower() + part[2:]
                     for i, part in enumerate(quoted.split("%")))
    return {quoted.encode(), lower.encode(), plus.encode()}


def forms_of(text):
    """{form: set of byte strings}, the ways one secret can be written down."""
    data = text.encode()
    as_hex = binascii.hexlify(data)
    return {"plain": {data, json.dumps(text)[1:-1].encode()},
            "URL-encoded": _url_forms(text) - {data},
            "base64": _base64_forms(data),
            "hex": {as_hex, as_hex.upper()}}


class Registry:
    """Secrets by value, and sources that are asked when a search begins."""

    def __init__(self):
        self._values, self._sources = set(), []

    def add(self, *values):
        for value in values:
            if len(value) < MIN_LENGTH or "\n" in value or "\0" in value:
                raise ValueError("a secret for tests is one line of 8 characters or more")
            self._values.add(value)

    def source(self, ask):
        """`ask` gives the secrets made so far; the harness' providers register theirs."""
        self._sources.append(ask)
        return ask

    def retire(self, ask):
        """Takes over what a source knows before it goes."""
        if ask in self._sources:
            self._sources.remove(ask)
            self.add(*ask())

    def all(self, tolerant=False):
        known = set(self._values)
        for ask in list(self._sources):
            try:
                known.update(ask())
            except Exception:  # pylint: disable=broad-except
                if not tolerant:
                    raise
        return known

    @staticmethod
    def _blot(text, values):
        text = str(text)
        for value in sorted(values, key=len, reverse=True):
            text = text.replace(value, "•••")
        return text

    def mask(self, text):
        """The text with the secrets registered by value blotted out."""
        return self._blot(text, self._values)

    def mask_all(self, text):
        """The same with those of the sources: for diagnostics, even where a provider is down."""
        return self._blot(text, self.all(tolerant=True))


def leak_check(folder, registry, exclude=()):
    """Files under a folder that hold a known secret in any form: ["log (base64)", …]; [] is good.

    `exclude`: names relative to the folder (or the first part of such names) that may hold secrets.
    """
    values = registry.all()
    found = set()
    private = tempfile.mkdtemp(prefix="leaks-")
    try:
        for form in ("plain", "URL-encoded", "base64", "hex"):
            patterns = {p for value in values for p in forms_of(value)[form]
                        if len(p) >= MIN_LENGTH}
            for name in _grep(folder, patterns, os.path.join(private, "patterns")):
                if not any(name == e or name.startswith(e.rstrip("/") + "/") for e in exclude):
                    found.add(f"{name} ({form})")
    finally:
        shutil.rmtree(private)
    return sorted(found)


def _grep(folder, patterns, pattern_file):
    """Names of the files that hold one of the patterns. The patterns are no arguments."""
    if not patterns:
        return []
    with open(os.open(pattern_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(b"\n".join(sorted(patterns)) + b"\n")
    done = subprocess.run(["grep", "-rlZaF", "--devices=skip", "-f", pattern_file, "."], cwd=folder,
                          env=dict(os.environ, LC_ALL="C"), stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=GREP_TIMEOUT_S, check=False)
    if done.returncode > 1:
        raise RuntimeError("grep failed: " + done.stderr.decode(errors="replace"))
    return [os.path.relpath(n, ".") for n in done.stdout.decode().split("\0") if n]
