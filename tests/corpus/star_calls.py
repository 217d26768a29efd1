"""Calls with stars, defaults, keywords, wrong arguments."""


def everything(a, b=2, *args, c, d=4, **rest):
    return a, b, args, c, d, sorted(rest)


def wrapped(function):
    def inner(*args, **options):
        return function(*args, **options)

    return inner


@wrapped
def decorated(x, *, y=1):
    return x + y


class Callable:
    def __call__(self, *args):
        return max(*args)


def main():
    values = [1, 2, 3]
    options = {"c": 5, "z": 6}
    out = [
        everything(*values, **options),
        everything(1, c=2),
        everything(*values, *values, c=0, **{"q": 1}),
        decorated(1, y=2),
        decorated(*[3]),
        max(*values),
        min(*values, 0),
        len(*[values]),
        sorted(*[values], **{"reverse": True}),
        Callable()(*values),
        print(*[], sep="", end=""),
        dict(**options),
        "{} {c}".format(*[1], **options),
        "-".join(*[["a", "b"]]),
        str.join(*["-", ["a", "b"]]),
        isinstance(*(1, int)),
    ]
    try:
        everything(*values)
    except TypeError:
        out.append("missing c")
    try:
        len(*values)
    except TypeError:
        out.append("too many")
    return out
