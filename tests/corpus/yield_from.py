"""yield from: plain, nested, over iterators that are no generators, with values sent and exceptions thrown through."""


def leaf(n):
    got = yield n
    return got or n


def middle(n):
    total = 0
    for i in range(n):
        total += yield from leaf(i)
    return total


def top(n):
    result = yield from middle(n)
    yield ("result", result)
    yield from [7, 8]
    yield from iter("ab")


class Iterator:
    def __init__(self):
        self.left = 2

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration("empty")
        self.left -= 1
        return self.left


def over_object():
    value = yield from Iterator()
    yield value


def catcher():
    try:
        yield from leaf(1)
    except ValueError as error:
        yield str(error)


def main():
    out = list(top(3)) + list(over_object())
    generator = top(2)
    next(generator)
    out.append(generator.send(5))
    generator.close()
    thrown = catcher()
    next(thrown)
    out.append(thrown.throw(ValueError("through")))
    thrown.close()
    return out
