"""Properties, super, dynamic attributes, operators: Python functions that the interpreter calls by itself."""


class Base:
    def __init__(self, x):
        self._x = x

    @property
    def x(self):
        return self._x

    @x.setter
    def x(self, value):
        self._x = value

    @x.deleter
    def x(self):
        self._x = None

    @classmethod
    def made(cls, x):
        return cls(x)

    @staticmethod
    def helper(x):
        return abs(x)

    def method(self):
        return "base"


class Left(Base):
    def method(self):
        return "left " + super().method()


class Right(Base):
    def method(self):
        return "right " + super(Right, self).method()


class Both(Left, Right):
    def method(self):
        return "both " + super().method()


class Dynamic:
    def __getattr__(self, name):
        if name.startswith("no"):
            raise AttributeError(name)
        return name.upper()

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        object.__delattr__(self, name)

    def __getitem__(self, item):
        if item > 2:
            raise IndexError(item)
        return item

    def __call__(self, *args, **options):
        return args, sorted(options)

    def __add__(self, other):
        return NotImplemented

    def __contains__(self, item):
        return item == 1

    def __bool__(self):
        return False

    def __iadd__(self, other):
        return self

    def __getattribute__(self, name):
        return object.__getattribute__(self, name)


class Adder:
    def __radd__(self, other):
        return "added"


def main():
    base = Base.made(-3)
    base.x = base.x + 1
    del base.x
    dynamic = Dynamic()
    dynamic.value = 1
    out = [
        base.x,
        Base.helper(-2),
        Both(1).method(),
        dynamic.value,
        dynamic.missing,
        hasattr(dynamic, "nothing"),
        list(dynamic),
        dynamic(1, b=2),
        dynamic + Adder(),
        1 in dynamic,
        bool(dynamic),
        not dynamic,
    ]
    dynamic += 1
    del dynamic.value
    out.append(dynamic.value)
    try:
        dynamic - 1
    except TypeError:
        out.append("no subtraction")
    return out
