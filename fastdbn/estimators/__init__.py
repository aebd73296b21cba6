"""The estimators: scikit-learn's manners around machines and their training."""
