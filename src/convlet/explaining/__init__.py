"""Any single number of a network, with the numbers that it was made of.

    told = convlet.explain(network, image, 7, "delta/0/3,4,2", differences=True)
    print(told.formula, told.value, told.summed, told.difference)

What can be asked is an `Address`, which is a short text; docs/explaining.md has all of them.
"""

from convlet.explaining.address import Address
from convlet.explaining.asking import explain
from convlet.explaining.records import CentralDifference, Explanation, Step, Term

__all__ = ["Address", "CentralDifference", "Explanation", "Step", "Term", "explain"]
