"""The documentation of the parameters and attributes that classifier, regressor and autoencoder share."""

PARAMETERS = """    Parameters
    ----------
    hidden_layer_sizes : int or tuple of int, default {sizes}
        Hidden units of each layer, from below.
    visible, hidden, scale, k, persistent, n_chains, learning_rate, momentum, weight_decay, batch_size, binarize, propagate, \
rbm_params
        Pretraining, as for `DBN`; ``batch_size`` and, for SGD, ``momentum`` (the first value of a tuple) hold for
        back-propagation too.
    pretrain : bool or DBN, default True
        False trains the plain network from random weights, to compare. A fitted `DBN` with these hidden layers is taken as it
        is: pretrained on other rows, as where few of them have labels, or once for several networks. Wrap it in scikit-learn's
        `FrozenEstimator` where the classifier is cloned, as in a grid search.
    pretrain_iter : int or tuple, default 20
        Epochs of each layer's pretraining.
    max_iter : int, default {epochs}
        Epochs of back-propagation.
    solver : {{"sgd", "adam"}}, default "adam"
    learning_rate_init : float, callable of the epoch, list or None, default None
        Step size of back-propagation; a callable or list is a schedule. None falls in a line to 0 over `max_iter` epochs, from
        0.005 for Adam and 0.2 for SGD; `partial_fit` then keeps the first of these.
    alpha : float, default {alpha}
        Weight decay (L2) of back-propagation, on weights alone.
    dropout : float or tuple, default {dropout}
        Share of units dropped: one rate for the inputs of every layer but the first, or a tuple that begins with the rate of
        the visible units, one for each weight layer.
    max_norm : float or None, default None
        Bound on the norm of every unit's incoming weights. Those of pretrained units are often 5 to 10: a smaller bound, such as
        the 3 or 4 customary for random weights, takes from what they learnt.
    early_stopping : bool, default False
        Hold out `validation_fraction` of the rows, stop when their score has not risen by `tol` for `n_iter_no_change` epochs,
        and restore the weights of the best epoch. Without it, all `max_iter` epochs are run.
    validation_fraction : float, default 0.1
    n_iter_no_change : int, default 10
    tol : float, default 1e-4
{more}    n_jobs, dtype, device, random_state, verbose, callback, warm_start
        As for `RBM`. A callback's ``layer`` is the layer's number while pretraining, then ``"fine-tuning"``.

    Attributes
    ----------
    coefs_, intercepts_ : lists of arrays
        Weights (n_in, n_out) and biases of every layer, the output layer last.
    dbn_ : DBN or None
        The pretrained network as it was before back-propagation; it can still generate.
    n_iter_ : int
        Epochs of back-propagation.
    history_ : dict of arrays
        One entry an epoch: ``loss`` and, with early stopping, ``validation_score``.
    visible_, scaling_, seed_
        As for `RBM`.
{attributes}"""
