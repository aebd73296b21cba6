"""Score a model on the rows of a table, beside simple models.

examples:
  fastdbn evaluate model.safetensors titanic.csv
  fastdbn evaluate model.safetensors t10k-images-idx3-ubyte.gz --json
  fastdbn evaluate rbm.safetensors binary.npz --likelihood
"""

from fastdbn.cli import options as common


def options(parser):
    common.model(parser)
    common.data(parser)
    parser.add_argument("--target", metavar="COLUMN", help="name or position of the target column [that of the training]")
    told = "also the mean log-likelihood of a row, with log Z by annealed importance sampling; of a DBN a lower bound"
    parser.add_argument("--likelihood", action="store_true", help=told)
    common.seed(parser, "seed of the draws of --likelihood [0]")
    common.json(parser)


def run(args):
    """A table of scores, or the same as JSON."""
    from fastdbn.cli.results import put_json, table_lines
    from fastdbn.cli.rows import labelled_rows, learns_target, load_model
    from fastdbn.cli.trained import training_of
    from fastdbn.evaluate.scores import scores_of
    from fastdbn.support.report import progress

    model = load_model(args)
    told = training_of(model)
    _, X, y = labelled_rows(model, args, told and told.target)
    if y is None and learns_target(model):
        raise ValueError(f"{args.data} has no target that is known: name its column by --target")
    scores = scores_of(model, X, y, None, None)
    likelihood = _likelihood(model, X, args.seed) if args.likelihood else {}
    if args.json:
        put_json({"rows": X.shape[0], "scores": scores.found} | likelihood)
        return
    for line in table_lines(*scores.table()):
        print(line)
    if likelihood:
        low, high = likelihood["log_z_interval"]
        print(f"{likelihood['kind']}: {likelihood['nats']:.2f} nats a row")
        print(f"log Z: {likelihood['log_z']:.2f} ({low:.2f} to {high:.2f})")
    if scores.remark:
        progress(scores.remark)


def _likelihood(model, X, seed):
    """The mean log-likelihood of a row, or a bound, and the log Z that it rests on."""
    from fastdbn import evaluate
    from fastdbn.evaluate.models import generator

    source = generator(model)
    deep = len(getattr(source, "layers_", ())) > 1
    z = evaluate.ais(source.top_rbm() if deep else source, X=None if deep else X, random_state=seed)
    if deep:
        kind, rows = "lower bound of the log-likelihood", evaluate.dbn_bound(source, X, z.log_z, random_state=seed).tightened
    else:
        kind, rows = "log-likelihood", evaluate.log_likelihood(source, X, z.log_z)
    return {"kind": kind, "nats": rows.mean(), "log_z": z.log_z, "log_z_interval": tuple(z.interval)}
