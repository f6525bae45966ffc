"""Unpacks a wheel when something in it is imported for the first time."""

import importlib
import importlib.abc
import importlib.machinery
import site


class WheelFinder(importlib.abc.MetaPathFinder):
    def __init__(self, index, unpack):
        self._index = index
        self._unpack = unpack

    def find_spec(self, name, path, target=None):
        wheel = self._index.pop(name, None) if path is None else None
        if wheel is None:
            return None
        self._unpack(wheel, site.getsitepackages()[0])
        importlib.invalidate_caches()
        return importlib.machinery.PathFinder.find_spec(name, None, target)
