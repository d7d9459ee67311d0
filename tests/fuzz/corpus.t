#!/usr/bin/python3
"""Each fuzz target over its corpus, and over a few hundred inputs made of it by chance: what
`scripts/fuzz` does at length, with any compiler."""

import os
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("abs_top_builddir", HERE.parent.parent))
MUTANTS = 60 if os.environ.get("BURSAR_SANITIZE", "no") not in ("", "no") else 400
SEED = int(os.environ.get("BURSAR_FUZZ_SEED", "1"))
WORDS = [b"$", b"[", b"]", b"{", b"}", b'"', b"'", b"\\", b"\\u0000", b"\x00", b"\xff", b"null",
         b"1e999", b"-1", b"&", b"=", b"<", b"!", b"*", b"..", b": ", b"\n", b"- ", b"|", b"access_token",
         b"error", b"kind: ", b"steps:\n  - url: ", b"${env:HOME}", b"{x}"]


def mutate(rng, inputs):
    data = bytearray(rng.choice(inputs))
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(data))
        what = rng.randrange(5)
        if what == 0:
            data[at:at] = rng.choice(WORDS)
        elif what == 1:
            del data[at:at + rng.randint(1, 12)]
        elif what == 2 and data:
            data[min(at, len(data) - 1)] = rng.randrange(256)
        elif what == 3:
            other = rng.choice(inputs)
            start = rng.randint(0, len(other))
            data[at:at] = other[start:start + rng.randint(0, 64)]
        else:
            data[at:at] = data[:at][-32:] * rng.randint(1, 3)
    return bytes(data)


def run_one(number, target):
    corpus = HERE / "corpus" / target
    program = BUILD / "tests" / "fuzz" / f"replay_{target}"
    rng = random.Random(f"{SEED} {target}")
    inputs = [file.read_bytes() for file in sorted(corpus.iterdir())]
    with tempfile.TemporaryDirectory(prefix="bfuzz") as folder:
        for i in range(MUTANTS):
            (pathlib.Path(folder) / f"{i:04}").write_bytes(mutate(rng, inputs))
        done = subprocess.run([str(program), str(corpus), folder], capture_output=True, timeout=300,
                              check=False)
        is_good = done.returncode == 0 and done.stdout.count(b"\nok ") >= MUTANTS
        print(f"{'ok' if is_good else 'not ok'} {number} - {target}: {len(inputs)} inputs and "
              f"{MUTANTS} made of them", flush=True)
        if not is_good:
            last = done.stderr.decode(errors="replace").splitlines()[-30:]
            names = [line for line in last if line.startswith(("/", "tests"))]
            for line in last:
                print("#", line)
            if names and os.path.exists(names[-1]):
                print("# input:", pathlib.Path(names[-1]).read_bytes()[:2000].hex())


TARGETS = sorted(folder.name for folder in (HERE / "corpus").iterdir())
for index, name in enumerate(TARGETS, 1):
    run_one(index, name)
print(f"1..{len(TARGETS)}")
sys.exit(0 if TARGETS else 1)
