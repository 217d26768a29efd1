"""Lambdas, closures, decorators with and without arguments, decorators that are classes."""

import functools


def plain(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args) + 1

    return wrapper


def with_arguments(times):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args):
            return [function(*args) for _ in range(times)]

        return wrapper

    return decorate


class Counting:
    def __init__(self, function):
        self.function = function
        self.calls = 0

    def __call__(self, *args):
        self.calls += 1
        return self.function(*args)


def decorator_of_class(cls):
    cls.extra = len(cls.__name__)
    return cls


def counter():
    count = 0

    def increment():
        nonlocal count
        count += 1
        return count

    return increment


def main():
    @plain
    @with_times
    def twice(x):
        return x

    @Counting
    def counted(x):
        return x

    @decorator_of_class
    class Named:
        pass

    increment = counter()
    double = lambda x: x * 2  # noqa: E731
    compose = lambda f, g: lambda x: f(g(x))  # noqa: E731
    return (
        twice(3),
        [counted(1), counted(2), counted.calls],
        Named.extra,
        [increment(), increment()],
        compose(double, double)(3),
        (lambda *a, **k: (a, sorted(k)))(1, b=2),
        repeated(4),
        sorted("bca", key=lambda c: -ord(c)),
    )


def with_times(function):
    return lambda x: function(x) * 2


@with_arguments(2)
def repeated(x):
    return x
