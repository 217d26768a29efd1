"""Threads from their run on: one after another, several at once, one that ends by an exception."""

import threading


def work(n):
    return sum(len(str(i)) for i in range(n))


class Worker(threading.Thread):
    def __init__(self, number, results):
        super().__init__(name="worker-%d" % number)
        self.number = number
        self.results = results

    def run(self):
        self.results.append((self.number, work(self.number)))


def target(results, value, *, option=1):
    results.append(value * option)


def failing():
    raise ValueError("in a thread")


def waiting(lock, results):
    lock.acquire()
    results.append("let go")
    lock.release()


def main():
    results = []
    for number in range(3):
        worker = Worker(number, results)
        worker.start()
        worker.join()
    thread = threading.Thread(target=target, args=(results, 5), kwargs={"option": 2}, name="by target")
    thread.start()
    thread.join()
    hook = threading.excepthook
    threading.excepthook = lambda args: results.append(args.exc_type.__name__)
    try:
        thread = threading.Thread(target=failing, name="failing")
        thread.start()
        thread.join()
    finally:
        threading.excepthook = hook
    # Two at a time: the first waits for a lock while the second runs.
    lock = threading.Lock()
    lock.acquire()
    first = threading.Thread(target=waiting, args=(lock, results), name="waiting")
    first.start()
    second = threading.Thread(target=target, args=(results, 7), name="meanwhile")
    second.start()
    second.join()
    lock.release()
    first.join()
    return results
