"""Signal handlers in Python: they run between two bytecodes of whatever runs."""

import signal


def helper(log, number):
    log.append(number)


def main():
    log = []

    def handler(number, frame):
        helper(log, number)

    def failing(number, frame):
        raise LookupError("from a handler")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        signal.raise_signal(signal.SIGUSR1)
        log.append("after")
        signal.signal(signal.SIGUSR1, failing)
        try:
            signal.raise_signal(signal.SIGUSR1)
            len("the handler runs before or after this")
        except LookupError as error:
            log.append(str(error))
    finally:
        signal.signal(signal.SIGUSR1, before)
    return log
