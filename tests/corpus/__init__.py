"""Programs whose events are compared: each module has a main() that does the same whenever it is called.

A program must not depend on hash order, time, addresses or the state that an earlier call left; what main() returns is
compared too. Objects whose death is to be seen belong to containers, not to variables of a running function: up to 3.10
the interpreter keeps those alive for a profile function in Python, and lets them die where that sees nothing.
"""
