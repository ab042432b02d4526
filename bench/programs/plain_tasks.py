"""Calls a function so many times, with nothing around it."""

import sys

import bodies

for _ in range(int(sys.argv[1])):
    bodies.body()
bodies.tell()
