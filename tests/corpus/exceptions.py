"""Exceptions through several frames, caught, changed, chained, in else and finally."""


class Custom(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.text = text

    def __str__(self):
        return "custom " + self.text


def deep(n):
    if n == 0:
        raise Custom("bottom")
    try:
        return deep(n - 1)
    finally:
        len("finally")


def translated():
    try:
        deep(3)
    except Custom as error:
        raise ValueError("translated") from error


def chained():
    try:
        {}["missing"]
    except KeyError:
        int("not a number")


def returned_from_finally():
    try:
        deep(1)
    except LookupError:
        return "wrong"
    except Custom:
        try:
            return "caught"
        finally:
            str(1)
    else:
        return "no exception"


def in_loop():
    seen = []
    for i in range(4):
        try:
            if i % 2:
                raise Custom(str(i))
        except Custom as error:
            seen.append(str(error))
            continue
        else:
            seen.append(i)
    return seen


def system_exit():
    raise SystemExit(3)


def assertion():
    assert deep is None, "assertion " + str(1)


def main():
    out = [returned_from_finally(), in_loop()]
    for function in (translated, chained, system_exit, assertion):
        try:
            function()
        except BaseException as error:
            out.append((type(error).__name__, str(error), type(error.__cause__).__name__))
    return out
