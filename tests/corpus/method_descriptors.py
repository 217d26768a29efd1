"""Methods of types called on the type: with self, without it, with a wrong one, inherited, through class and star."""


class MyList(list):
    def append(self, value):
        list.append(self, value)
        super().append(value)


def attempt(function, *args):
    try:
        return function(*args)
    except TypeError as error:
        return type(error).__name__


def no_self():
    return str.upper()


def wrong_self():
    return str.upper(1)


def wrong_arguments():
    return str.upper("x", "y")


def slots_no_self():
    return list.__len__()


def main():
    mine = MyList()
    mine.append(1)
    upper = str.upper
    return (
        str.upper("x"),
        upper("y"),
        str.upper(*["z"]),
        list(map(str.upper, "ab")),
        sorted("bA", key=str.lower),
        attempt(no_self),
        attempt(wrong_self),
        attempt(wrong_arguments),
        attempt(slots_no_self),
        attempt(str.upper),
        attempt(str.upper, "q"),
        list.append(mine, 2),
        list.__len__(mine),
        list(mine),
        dict.get({"a": 1}, "a"),
        str.__add__("a", "b"),
        object.__eq__(1, 1),
        int.__repr__(5),
        dict.fromkeys("a", 1),
        str.join("-", ["a", "b"]),
        bytes.join(b"-", [b"a", b"b"]),
        type.mro(MyList)[0].__name__,
        MyList.__mro__[1].__name__,
        float.__round__(1.5),
        set.add(set(), 1),
    )
