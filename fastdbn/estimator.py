"""What all estimators share: parameters as attributes, scikit-learn's tags, the device, and saving."""

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fastdbn.backends import get_backend


class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An estimator that transforms dense or sparse rows, in a precision of its own, and can be saved."""

    def _set(self, values):
        """Store the arguments of the constructor, its `locals()`, as attributes of their names, as scikit-learn wants it."""
        for name, value in values.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def to_device(self, device="cuda"):
        """Let this estimator and its layers compute on a device from now on.

        Parameters
        ----------
        device : {"cuda", "auto", "cpu"}, default "cuda"

        Returns
        -------
        self

        Raises
        ------
        ValueError
            for an unknown device.
        DeviceError
            if there is no such device here; the estimator is left as it was.
        """
        get_backend(device=device)
        for part in (self, *getattr(self, "layers_", ())):
            part.device = device
        if getattr(self, "dbn_", None) is not None:
            self.dbn_.to_device(device)
        return self

    def to_host(self):
        """Let this estimator and its layers compute on the CPU from now on; returns self."""
        return self.to_device("cpu")

    def save(self, path):
        """Write the model to a safetensors file, read back by `fastdbn.load`."""
        from fastdbn.io import save

        check_is_fitted(self)
        save(self, path)
