"""Types of arrays with their shapes, such as ``Float32[np.ndarray, "n 3"]``, for signatures and records.

The name is the type of the numbers, the text names the axes, in the notation of jaxtyping. Here the shapes are for
readers only; the tests replace this module by jaxtyping and check them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Annotated as Bool
    from typing import Annotated as Float
    from typing import Annotated as Float32
    from typing import Annotated as Float64
    from typing import Annotated as Int
    from typing import Annotated as Int8
    from typing import Annotated as Int32
    from typing import Annotated as Int64
    from typing import Annotated as Integer
    from typing import Annotated as Num
    from typing import Annotated as Shaped
    from typing import Annotated as UInt8
    from typing import Annotated as UInt16
    from typing import Annotated as UInt32
else:

    class _ArrayType:
        def __getitem__(self, array_and_axes: tuple[Any, str]) -> Any:
            return array_and_axes[0]

    Bool = Float = Float32 = Float64 = Int = Int8 = Int32 = Int64 = Integer = Num = Shaped = _ArrayType()
    UInt8 = UInt16 = UInt32 = Bool
