"""Networks of other libraries: a front end for each makes a chain, one folding makes layers of it.

`chain` is the form in which front ends hand a network over, `folding` turns it into layers and
parameters of convlet, exactly.
"""
