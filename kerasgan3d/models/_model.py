"""The base class of the networks: `keras.Model`, with members that type checkers can see.

On import, Keras chooses the base classes of its `Model` by backend. Type checkers cannot follow that, assume that the
class may have any attribute, and would accept every misspelt name of a network.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class Model:
        """Documented members of `keras.Model`, without their types."""

        add_loss: Any
        add_weight: Any
        build_from_config: Any
        compile: Any
        compute_dtype: str
        compute_loss: Any
        compute_metrics: Any
        count_params: Any
        dtype: str
        dtype_policy: Any
        evaluate: Any
        export: Any
        fit: Any
        from_config: Any
        get_compile_config: Any
        get_layer: Any
        get_weights: Any
        input_spec: Any
        jit_compile: Any
        layers: list[Any]
        load_weights: Any
        losses: list[Any]
        metrics: list[Any]
        metrics_names: list[str]
        name: str
        non_trainable_variables: list[Any]
        non_trainable_weights: list[Any]
        optimizer: Any
        predict: Any
        predict_on_batch: Any
        quantize: Any
        reset_metrics: Any
        run_eagerly: bool
        save: Any
        save_weights: Any
        set_weights: Any
        stateless_call: Any
        stop_training: bool
        summary: Any
        supports_masking: bool
        test_on_batch: Any
        to_json: Any
        train_on_batch: Any
        trainable: bool
        trainable_variables: list[Any]
        trainable_weights: list[Any]
        variable_dtype: str
        variables: list[Any]
        weights: list[Any]

        def __init__(self, **kwargs: Any) -> None: ...

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

        def get_config(self) -> dict[str, Any]: ...

else:
    from keras import Model

__all__ = ["Model"]
