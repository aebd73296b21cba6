"""Train on handwritten digits, save, load and test."""

import tempfile
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastdbn import DBNClassifier, load

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.2, stratify=y, random_state=0)
model = DBNClassifier(random_state=0).fit(X_train, y_train)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.safetensors"
    model.save(path)
    print(f"{path.stat().st_size / 1024:.0f} KiB; test accuracy of the loaded model: {load(path).score(X_test, y_test):.3f}")
