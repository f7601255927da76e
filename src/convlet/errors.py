"""The family of exceptions that convlet raises for a bad input, a bad file or a bad machine."""


class ConvletError(Exception):
    """Every error that convlet raises on purpose; catch this one to catch them all."""


class InputError(ConvletError, ValueError):
    """An argument is wrong.

    The message names it, its value, what was expected and how to mend it.
    """


class ArchitectureError(InputError):
    """The layers do not fit together, or do not fit the input."""


class DataError(ConvletError, ValueError):
    """A data file holds something else than it should.

    The message names file, expected and found.
    """


class ModelFileError(ConvletError, ValueError):
    """A model file or checkpoint is damaged, or holds what this version cannot load."""


class FileError(ConvletError, OSError):
    """A file or folder is missing, or cannot be read or written."""


class DivergedError(ConvletError, ArithmeticError):
    """Training met a cost or a gradient that is not finite: the message names step and stage."""


class MissingDependencyError(ConvletError, ImportError):
    """An optional library is not installed.

    The message says which, what for, and how to install it.
    """
