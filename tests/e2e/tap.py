"""Test functions, one after the other, in TAP: each bounded in time, each cleaned up after."""

import contextlib
import faulthandler
import os
import signal
import sys
import time
import traceback

DIAGNOSTIC_LIMIT = 8000
CLEANUP_S = 400


class TestTimeout(BaseException):
    """A test took too long. Not an Exception, so that no test swallows it."""


class SkipTest(Exception):
    """The rest of a test does not apply here."""


class Tap:
    """Counts and prints results. `mask` takes the secrets out of what is printed."""

    def __init__(self, mask=str, mask_all=None, out=None):
        self.count = self.failed = 0
        self._mask, self._mask_all = mask, mask_all or mask  # for names; for what a failure shows
        self._out = out or sys.stdout
        self._cleanups = contextlib.ExitStack()

    def _print(self, line):
        self._out.write(line + "\n")
        self._out.flush()

    def diag(self, text):
        text = self._mask_all(text)
        if len(text) > DIAGNOSTIC_LIMIT:
            text = text[:DIAGNOSTIC_LIMIT] + " …"
        for line in text.splitlines():
            self._print("# " + line)

    def ok(self, condition, name, why=None):
        """One result. `why` is printed where it failed; gives the condition as a bool."""
        self.count += 1
        name = self._mask(name).replace("#", "\\#").replace("\n", " ")
        self._print(f"{'ok' if condition else 'not ok'} {self.count} - {name}")
        if not condition:
            self.failed += 1
            if why is not None:
                self.diag(why() if callable(why) else why)
        return bool(condition)

    def eq(self, got, expected, name):
        return self.ok(got == expected, name, lambda: f"     got: {got!r}\nexpected: {expected!r}")

    def le(self, got, limit, name):
        return self.ok(got <= limit, name, lambda: f"  got: {got!r}\nlimit: {limit!r}")

    def fail(self, name, why=None):
        return self.ok(False, name, why)

    def skip(self, name, why):
        self.count += 1
        self._print(f"ok {self.count} - {self._mask(name)} # SKIP {self._mask(why)}")

    def bail(self, why):
        self._print("Bail out! " + self._mask(why).replace("\n", " "))
        self._out.flush()
        self.clean_up()
        sys.exit(1)

    def use(self, resource):
        """Enters a context manager, left when the running test ends: d = t.use(Daemon(…))."""
        return self._cleanups.enter_context(resource)

    def cleanup(self, function, *args):
        self._cleanups.callback(function, *args)

    def clean_up(self):
        stack, self._cleanups = self._cleanups, contextlib.ExitStack()
        stack.close()

    def done(self):
        """Prints the plan and ends the process."""
        self._print(f"1..{self.count}")
        self._print(f"# {self.count - self.failed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.count else 0)


def _give_up(*_):
    raise TestTimeout()


@contextlib.contextmanager
def time_limit(seconds):
    """Raises TestTimeout in the main thread; where that does not help, ends the process later."""
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + 30, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def run_one(tap, test, timeout, explain=None, after=None):
    """One test function, whatever it does: at least one result, and its resources given back."""
    name, before, start = test.__name__, tap.count, time.monotonic()
    failed_before = tap.failed
    limit = getattr(test, "timeout", timeout)
    try:
        with time_limit(limit):
            test(tap)
        if tap.count == before:
            tap.fail(f"{name}: checked nothing")
    except SkipTest as skip:
        tap.skip(name, str(skip))
    except TestTimeout:
        tap.fail(f"{name}: not done in {limit} s", traceback.format_exc())
    except Exception as error:  # pylint: disable=broad-except
        tap.fail(f"{name}: {type(error).__name__}: {error}", traceback.format_exc())
    try:
        with time_limit(CLEANUP_S):
            if explain and tap.failed > failed_before:
                explain(tap)
            tap.clean_up()
            if after:
                after(tap, name)
    except (TestTimeout, Exception) as error:  # pylint: disable=broad-except
        tap.fail(f"{name}: cleaning up: {type(error).__name__}: {error}", traceback.format_exc())
    tap.diag(f"{name}: {time.monotonic() - start:.1f} s")


def run(tests, timeout=60, tap=None, argv=None, explain=None, after=None, stretch=1):
    """Runs test functions f(t) and ends the process. Arguments on the command line choose by name.

    A function's own `timeout` attribute goes before the common one. `stretch` and
    BURSAR_TEST_TIMEOUT_FACTOR lengthen both: sanitizers and valgrind take their time. `explain(tap)` is called when a test
    has failed, before its resources go; `after(tap, name)` when they have gone.
    """
    tap = tap or Tap()
    wanted = sys.argv[1:] if argv is None else argv
    factor = stretch * float(os.environ.get("BURSAR_TEST_TIMEOUT_FACTOR", "1"))
    unknown = set(wanted) - {test.__name__ for test in tests}
    if unknown:
        tap.bail(f"no such test: {', '.join(sorted(unknown))}")
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        if hasattr(test, "timeout"):
            test.timeout *= factor
        run_one(tap, test, timeout * factor, explain, after)
    tap.done()


def limit(seconds):
    """@limit(300): this test's own time."""
    def mark(test):
        test.timeout = seconds
        return test
    return mark
