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
    generator = count(10)
    next(generator)
    next(generator)
    del generator
    expression = (len(str(n)) for n in range(5))
    next(expression)
    expression = None
    never_begun = count(3)
    del never_begun
    return expression


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
