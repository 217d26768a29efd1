"""Comprehensions of every kind, nested, with conditions and calls."""


def f(x):
    return x + 1


def main():
    matrix = [[1, 2], [3, 4]]
    offset = 10
    return (
        [f(x) for x in range(4)],
        sorted({f(x) % 2 for x in range(4)}),
        {x: f(x) for x in range(3) if x},
        list(f(x) for x in range(3)),
        [[f(y) for y in x] for x in matrix],
        [y + offset for x in matrix for y in x if f(y) != 3],
        {str(k): [len(str(v)) for v in row] for k, row in enumerate(matrix)},
        any(f(x) > 2 for x in range(10)),
        all(f(x) > 0 for x in range(4)),
        max((f(x) for x in range(3)), default=0),
        [(lambda z: z + x)(1) for x in range(2)],
        [x for x in [] if f(x)],
    )
