"""Programs whose events are compared: each module has a main() that does the same whenever it is called.

A program must not depend on hash order, time, addresses or the state that an earlier call left; what main() returns is
compared too.
"""
