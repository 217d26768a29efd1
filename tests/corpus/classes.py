"""Class bodies, metaclasses, descriptors, hooks of classes."""

import abc
import enum


class Meta(type):
    @classmethod
    def __prepare__(meta, name, bases, **options):
        return {"prepared": True}

    def __new__(meta, name, bases, namespace, **options):
        return super().__new__(meta, name, bases, dict(namespace))

    def __init__(cls, name, bases, namespace, **options):
        super().__init__(name, bases, namespace)

    def __call__(cls, *args):
        made = super().__call__(*args)
        made.by_meta = True
        return made

    def __instancecheck__(cls, instance):
        return hasattr(instance, "by_meta")


class Descriptor:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner):
        if instance is None:
            return self
        return getattr(instance, self.name, 0)

    def __set__(self, instance, value):
        setattr(instance, self.name, value)


def make():
    class Base:
        registry = []

        def __init_subclass__(cls, **options):
            super().__init_subclass__(**options)
            Base.registry.append(cls.__name__)

    class Derived(Base):
        value = Descriptor()
        table = {n: n * n for n in range(3)}

        class Inner:
            depth = len("inner")

        def __class_getitem__(cls, item):
            return item

    class Other(Base, metaclass=Meta, option=1):
        def __new__(cls, *args):
            return super().__new__(cls)

        def __init__(self, *args):
            self.args = args

    return Base, Derived, Other


def main():
    base, derived, other = make()
    instance = derived()
    instance.value = 3
    instance.value += 1
    made = other(1, 2)

    class Abstract(abc.ABC):
        @abc.abstractmethod
        def method(self):
            """Nothing."""

    try:
        Abstract()
    except TypeError:
        refused = True

    class Color(enum.Enum):
        RED = 1
        BLUE = 2

    made_by_type = type("Made", (base,), {"method": lambda self: len("x")})
    return (
        base.registry,
        instance.value,
        derived.value.name,
        derived[int].__name__,
        made.args,
        isinstance(made, other),
        other.prepared,
        refused,
        [color.name for color in Color],
        Color(2).name,
        made_by_type().method(),
    )
