"""What convlet computes and Keras has no layer for.  Imported where Keras is."""

import keras


@keras.saving.register_keras_serializable(package="convlet")
class PositionBias(keras.layers.Layer):  # type: ignore[misc]  # of a library that need not be there
    """A bias for each row, column and channel, (I, J, K)."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.bias = self.add_weight(shape=input_shape[1:], initializer="zeros", name="bias")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x + self.bias
