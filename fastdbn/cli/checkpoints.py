"""What a command that trains keeps for later: checkpoints, and after Ctrl-C the command that goes on."""

import contextlib
import shlex
from pathlib import Path

from fastdbn.callbacks import Checkpoint
from fastdbn.support.checks import MOST
from fastdbn.support.report import progress


@contextlib.contextmanager
def checkpointed(model, args):
    """Give a model its callbacks, and yield the `resume` of its fit.

    Without --checkpoint only Ctrl-C leaves a checkpoint, in a folder beside the model file.
    """
    folder = Path(args.checkpoint or f"{args.out}.checkpoint")
    checkpoint = Checkpoint(folder, every_n_epochs=MOST if args.checkpoint is None else 1)
    if args.checkpoint is None:
        _remove(checkpoint)
    elif args.resume:
        found = checkpoint.last.exists()
        progress(f"going on from {checkpoint.last}" if found else f"{folder} has no checkpoint: beginning anew")
    given = model.callbacks
    model.set_params(callbacks=[*(given or ()), checkpoint])
    try:
        yield "last" if args.resume else None
    except KeyboardInterrupt:
        if not checkpoint.last.exists():
            progress("nothing is saved, because the first epoch was not complete")
            raise
        words = [word for word in args.words if word != "--resume"]
        words += ["--resume"] if args.checkpoint else ["--checkpoint", str(folder), "--resume"]
        progress(f"saved {checkpoint.last}; go on by:\n  {shlex.join(['fastdbn', *words])}")
        raise
    finally:
        model.set_params(callbacks=given)
    if args.checkpoint is None:
        _remove(checkpoint)


def _remove(checkpoint):
    """Remove the last checkpoint, and its folder if nothing else is there."""
    checkpoint.last.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        checkpoint.dirpath.rmdir()
