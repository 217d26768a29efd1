"""New code objects in a loop: compile, exec, eval, and functions that die and whose addresses come back."""

SOURCE = """
def made_{0}(x):
    return helper(x) + {0}

def helper(x):
    return len(str(x))

class Klass_{0}:
    attribute = made_{0}({0})

result = made_{0}(10) + Klass_{0}.attribute
"""


def compiled(number):
    namespace = {}
    exec(compile(SOURCE.format(number), "<made %d>" % number, "exec"), namespace)
    return namespace["result"]


def evaluated(number):
    return eval("helper(%d) + helper(1)" % number, {"helper": lambda x: x * 2})


def short_lived(number):
    function = eval("lambda: abs(%d)" % -number)
    return function()


def failing():
    try:
        exec("raise ValueError('from exec')")
    except ValueError as error:
        first = str(error)
    try:
        compile("1 +", "<broken>", "eval")
    except SyntaxError:
        second = "broken"
    return first, second


def same_name(number):
    """One name, one file, other code each time."""
    namespace = {}
    body = "; ".join(["len('')"] * (number % 3 + 1))
    exec(compile("def same():\n    " + body + "\n", "<same>", "exec"), namespace)
    namespace["same"]()


def main():
    out = [compiled(number) for number in range(60)]
    out += [evaluated(number) for number in range(60)]
    out += [short_lived(number) for number in range(60)]
    for number in range(60):
        same_name(number)
    out.append(failing())
    return out
