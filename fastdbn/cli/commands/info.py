"""Show what a model file holds: class, sizes, units, columns, epochs.

examples:
  fastdbn info model.safetensors
"""

from collections import Counter

from fastdbn.cli import options as common


def options(parser):
    common.model(parser)


def run(args):
    """A model's class, sizes, units, classes, scaling, columns and training."""
    import fastdbn
    from fastdbn.evaluate.models import layers

    model = fastdbn.load(args.model)
    network, rbms = hasattr(model, "coefs_"), layers(model)
    weights = model.coefs_ if network else [rbm.components_.T for rbm in rbms]
    parameters = sum(W.size + (W.shape[1] if network else sum(W.shape)) for W in weights)
    bottom = model if network else rbms[0]
    rows = [
        ("class", type(model).__name__),
        ("features", model.n_features_in_),
        ("layers", "-".join(str(n) for n in (model.n_features_in_, *(W.shape[1] for W in weights)))),
        ("parameters", parameters),
        ("visible units", getattr(bottom.visible_, "name", bottom.visible_)),
        ("scaling", "none" if bottom.scaling_.scale is None else bottom.scaling_.words),
    ]
    if hasattr(model, "classes_"):
        rows.append(("classes", f"{len(model.classes_)}: {_first(model.classes_, 20)}"))
    if hasattr(model, "feature_names_in_"):
        rows.append(("feature names", _first(model.feature_names_in_, 10)))
    if hasattr(model, "preparation_"):
        columns = model.preparation_.columns_
        for kind in Counter(column.kind for column in columns):
            rows.append((f"columns: {kind}", _first([column.words for column in columns if column.kind == kind], 10)))
    epochs = ", ".join(str(rbm.n_iter_) for rbm in rbms)
    if network:
        loss = model.history_["loss"]
        rows.append(("pretraining", f"{epochs} epochs" if rbms else "none"))
        rows.append(("fine-tuning", f"{model.n_iter_} epochs" + (f", last loss {loss[-1]:.5f}" if len(loss) else "")))
    else:
        rows.append(("epochs", epochs))
    for name, value in rows:
        print(f"{name:<17} {value}")


def _first(values, n):
    """The first n of some values, in words."""
    return ", ".join(map(str, values[:n])) + (", ..." if len(values) > n else "")
