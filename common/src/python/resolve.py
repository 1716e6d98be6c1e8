"""The object that a dotted path names. In front of every program of ours that runs people's Python."""

import importlib


def resolve(path):
    """The object that `package.module.name` or `package.module:name` names."""
    if ":" in path:
        module, _, rest = path.partition(":")
        found, names = importlib.import_module(module), rest.split(".")
    else:
        names = path.split(".")
        module = names.pop(0)
        found = importlib.import_module(module)
        while names:
            inner = module + "." + names[0]
            try:
                found = importlib.import_module(inner)
            except ModuleNotFoundError as error:
                # Only the name itself: what is missing inside a module is a fault of its own.
                if error.name != inner:
                    raise
                break
            module = inner
            names.pop(0)
    if not names:
        raise TypeError("%s is a module; name something in it" % path)
    for name in names:
        found = getattr(found, name)
    return found


