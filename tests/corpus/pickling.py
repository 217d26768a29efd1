"""Pickling and copying: C code that calls __reduce__, __getstate__, __setstate__ and __deepcopy__."""

import copy
import io
import pickle


class Stateful:
    def __init__(self, value):
        self.value = value
        self.cache = "not pickled"

    def __getstate__(self):
        return {"value": self.value}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.cache = "restored"


class Reduced:
    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return rebuild, (self.value,)


def rebuild(value):
    return Reduced(value + 1)


class Unpicklable:
    def __reduce_ex__(self, protocol):
        raise TypeError("not this one")


class Copied:
    def __copy__(self):
        return "copied"

    def __deepcopy__(self, memo):
        return copy.deepcopy(["deep"], memo)


class ByHand(pickle.Pickler):
    def persistent_id(self, obj):
        return "answer" if obj == 42 else None


class BackByHand(pickle.Unpickler):
    def persistent_load(self, pid):
        return 42 if pid == "answer" else None


def main():
    out = []
    for protocol in (2, 4):
        stateful, reduced = pickle.loads(pickle.dumps([Stateful(1), Reduced(2)], protocol))
        out.append((stateful.value, stateful.cache, reduced.value))
    try:
        pickle.dumps(Unpicklable())
    except TypeError as error:
        out.append(str(error))
    buffer = io.BytesIO()
    ByHand(buffer).dump([42, 1])
    buffer.seek(0)
    out.append(BackByHand(buffer).load())
    out.append(copy.copy(Copied()))
    out.append(copy.deepcopy(Copied()))
    out.append(copy.deepcopy({"a": [1, Stateful(2)]})["a"][1].value)
    out.append(pickle._loads(pickle._dumps({"pure": [1, 2]}, 2)))  # the pure Python one
    return out
