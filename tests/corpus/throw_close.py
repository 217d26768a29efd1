"""throw() and close() of generators, caught, passed on, and answered wrongly."""


def guarded(log):
    try:
        yield 1
        yield 2
    except KeyError:
        log.append("key")
        yield 3
    finally:
        log.append("finally")


def stubborn():
    try:
        yield 1
    except GeneratorExit:
        yield 2


def plain():
    yield 1
    yield 2


def nested(log):
    with_inner = guarded(log)
    try:
        yield from with_inner
    finally:
        log.append("outer")


def main():
    log = []
    generator = guarded(log)
    next(generator)
    log.append(generator.throw(KeyError("x")))
    generator.close()
    generator = guarded(log)
    next(generator)
    try:
        generator.throw(ValueError("y"))
    except ValueError as error:
        log.append(str(error))
    generator = plain()
    try:
        generator.throw(ValueError("before its start"))
    except ValueError as error:
        log.append(str(error))
    plain().close()
    left = [stubborn()]
    next(left[0])
    try:
        left[0].close()
    except RuntimeError as error:
        log.append(str(error))
    left.clear()
    generator = nested(log)
    next(generator)
    generator.close()
    generator = plain()
    list(generator)
    generator.close()
    return log
