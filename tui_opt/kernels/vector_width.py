"""Asking the compiler for the widest vectors of the processor."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

_ATTRIBUTE = '"prefer-vector-width"="512"'


@intrinsic
def widest_vectors(_context: Any) -> Any:
    """Lets loops of the function that calls this use vectors of 512 bits, where the processor has them.

    Compilers avoid them on many processors, for the sake of programs that use them a little. A kernel that does nothing
    but multiply and add gains nearly a factor of two. Elsewhere this changes nothing.
    """

    def codegen(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        # An attribute in quotes is handed to the compiler as it stands; the set of llvmlite accepts only those without.
        set.add(builder.function.attributes, _ATTRIBUTE)
        return context.get_dummy_value()

    return types.void(), codegen
