"""with: classes, contextlib, several at once, exceptions swallowed and passed on, ExitStack."""

import contextlib
import io


class Manager:
    def __init__(self, log, swallow=False):
        self.log = log
        self.swallow = swallow

    def __enter__(self):
        self.log.append("enter")
        return self

    def __exit__(self, kind, value, traceback):
        self.log.append(None if kind is None else kind.__name__)
        return self.swallow


@contextlib.contextmanager
def generated(log):
    log.append("before")
    try:
        yield len(log)
    except ValueError:
        log.append("swallowed")
    finally:
        log.append("after")


@contextlib.contextmanager
def decorating():
    yield


@decorating()
def decorated(x):
    return x + 1


def returned(log):
    with Manager(log):
        return "returned"


def main():
    log = []
    with Manager(log) as first, generated(log) as number:
        log.append(number)
    with Manager(log, swallow=True):
        raise KeyError("swallowed")
    with generated(log):
        raise ValueError("into the generator")
    try:
        with generated(log), Manager(log):
            raise LookupError("passed on")
    except LookupError:
        log.append("outside")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Manager(log))
        stack.callback(log.append, "callback")
    with contextlib.suppress(ZeroDivisionError):
        log.append(1 // 0)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print("captured")
    with contextlib.closing(out):
        log.append(out.getvalue())
    log.append(returned(log))
    log.append(decorated(1))
    log.append(first.swallow)
    return log
