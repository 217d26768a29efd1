"""Generators: run out, left early, sent to, and those of expressions."""


def count(n):
    for i in range(n):
        yield i
    return "done"


def echo():
    got = None
    while True:
        got = yield got
        if got == "stop":
            return


def pipeline(numbers):
    squares = (n * n for n in numbers)
    odd = (n for n in squares if n % 2)
    return sum(odd)


def abandoned():
    left = [count(10)]
    next(left[0])
    next(left[0])
    del left[0]
    left.append(len(str(n)) for n in range(5))
    next(left[0])
    left[0] = count(3)  # never begun
    left.clear()
    return left


def main():
    out = list(count(4))
    generator = echo()
    next(generator)
    out.append([generator.send(word) for word in ("a", "b")])
    try:
        generator.send("stop")
    except StopIteration as stop:
        out.append(stop.value)
    out.append(pipeline(range(7)))
    out.append(abandoned())
    first, *rest = count(3)
    out.append((first, rest))
    out.append(dict(zip(count(2), count(5))))
    return out
