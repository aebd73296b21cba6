"""What all estimators share: parameters as attributes, scikit-learn's tags, and saving."""

from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted


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

    def save(self, path):
        """Write the model to a safetensors file, read back by `fastdbn.load`."""
        from fastdbn.io import save

        check_is_fitted(self)
        save(self, path)
