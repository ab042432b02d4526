"""Calls a function so many times in one run, under whatever policy this host has for `rota_tasks`."""

import sys

import bodies

import rota

rota.watch()


def each():
    bodies.body()


for _ in range(int(sys.argv[1])):
    each()
bodies.tell()
