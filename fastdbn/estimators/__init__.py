"""The estimators: scikit-learn's conventions around machines and their training."""
