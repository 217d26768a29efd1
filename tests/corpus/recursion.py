"""Functions that call themselves and each other."""


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def ackermann(m, n):
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


def even(n):
    return True if n == 0 else odd(n - 1)


def odd(n):
    return False if n == 0 else even(n - 1)


def depth(n):
    if n:
        return 1 + depth(n - 1)
    return 0


def nested(value):
    if isinstance(value, list):
        return sum(nested(item) for item in value)
    return len(str(value))


def main():
    tree = [1, [22, [333, [4444]], 5], []]
    return fib(10), ackermann(2, 2), even(51), depth(400), nested(tree)
