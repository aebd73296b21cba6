"""`fastdbn.load`: a fitted estimator from a file that its `save` wrote.

The classes register themselves where they are defined, and importing this file imports all of them.
"""

from fastdbn.estimators import autoencoder, bernoulli_rbm, finetune, generative, outliers, regressor  # noqa: F401 - they register classes
from fastdbn.estimators.base import Estimator
from fastdbn.files import state
from fastdbn.support.types import FilePath


def load(path: FilePath) -> Estimator:
    """Read a model that `save` wrote.

    The file may come from anyone: it holds no code, and everything in it is checked before it is used. Memory and time grow with
    the length of the file alone.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    RBM, BernoulliRBM, DBN, GenerativeDBNClassifier, DBNOutlierDetector, DBNClassifier, DBNRegressor or DBNAutoencoder
        It predicts, samples and trains on as the saved one does, bit by bit. A model that was trained on a GPU computes on one
        where there is one, else on the CPU.

    Raises
    ------
    FileNotFoundError
        if there is no such file.
    ValueError
        if it is no model of this library, or is damaged, or was written by fastdbn 0.1.0. The message names the file and says
        what is wrong.

    Examples
    --------
    >>> import fastdbn, numpy as np, tempfile
    >>> X = np.random.default_rng(0).integers(0, 2, (200, 16)).astype(np.float32)
    >>> model = fastdbn.RBM(8, n_iter=2, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.safetensors")
    ...     copy = fastdbn.load(f"{folder}/model.safetensors")
    >>> bool((copy.transform(X) == model.transform(X)).all())
    True
    """
    model = state.load(path)
    run = vars(model).get("_run")
    if run and run.begun and set(run.begun) <= set(run.done):  # the last checkpoint of a fit
        del model._run
    return model
