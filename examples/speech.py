"""Spoken digits of a speaker who was not in training: a network on log-mel spectra.

The Free Spoken Digit Dataset (FOLDER/fsdd/fsdd.npz, CC BY-SA 4.0): 6 speakers, 500 recordings each. Each recording becomes a
log-mel spectrum of 24 bands and 16 moments. Settings were chosen by holding out each of the first three speakers, as --chosen
does. The figures are those of the other three, each held out in turn. Without the data, the 8x8 digits stand in, with writers
made up.
"""

import numpy as np
from scipy import signal
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from common import arguments, bars, digits, file_of, finish, say
from fastdbn import RBM, DBNClassifier

BANDS, MOMENTS = 24, 16


def mel(frequency):
    """Frequencies in Hz on the mel scale."""
    return 2595 * np.log10(1 + frequency / 700)


def spectrum(wave, rate):
    """The log-mel spectrum of a recording, (BANDS * MOMENTS,), with mean 0 and deviation 1."""
    frequencies, _, power = signal.spectrogram(wave, rate, nperseg=256, noverlap=192)
    edges = np.linspace(mel(100), mel(rate / 2), BANDS + 2)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    at = mel(frequencies)
    triangles = np.maximum(0, np.minimum((at - low) / (middle - low), (high - at) / (high - middle)))
    bands = triangles @ power
    bands = np.log(bands + 1e-3 * bands.max())
    moments = np.linspace(0, bands.shape[1] - 1, MOMENTS)
    spectrum = np.concatenate([np.interp(moments, np.arange(bands.shape[1]), band) for band in bands])
    return (spectrum - spectrum.mean()) / spectrum.std()


def recordings(args):
    """(spectra, digits, speakers, the speakers that are held out in turn)."""
    path = file_of(args, "fsdd", "fsdd.npz")
    if path is None:
        data = digits(args)
        return data.X, data.y, np.arange(len(data.y)) % 6, [3]
    z = np.load(path)
    waves = np.split(z["signal"] / 32768, z["offset"][1:-1])
    X = np.array([spectrum(wave, int(z["sample_rate"])) for wave in waves])
    return X, z["label"], z["speaker"], [0, 1, 2] if args.chosen else [3, 4, 5]


def main():
    args = arguments(__doc__, chosen="hold out the three speakers on which settings were chosen")
    X, y, speakers, held_out = recordings(args)
    options = {"max_iter": 2 if args.quick else 20, "batch_size": 64, "random_state": 0, "n_jobs": args.jobs}
    layers = RBM(visible="bernoulli", scale="none", n_iter=2 if args.quick else None)
    units = 32 if args.quick else 1024
    models = {
        "DBN, one layer": DBNClassifier((units,), rbm=layers, dropout=(0.4, 0.5), **options),
        "support vectors": SVC(C=3),
        "random forest": RandomForestClassifier(10 if args.quick else 200, random_state=0),
        "logistic regression": LogisticRegression(C=0.01, max_iter=500),
    }
    scores = {name: [] for name in models}
    for speaker in held_out:
        train, test = speakers != speaker, speakers == speaker
        Z = StandardScaler().fit(X[train]).transform(X)
        for name, model in models.items():
            columns = 1 / (1 + np.exp(-Z)) if isinstance(model, DBNClassifier) else Z  # as probabilities of a loud moment
            scores[name].append(model.fit(columns[train], y[train]).score(columns[test], y[test]))
    for name, values in scores.items():
        say(f"accuracy on speakers held out, {name}", f"{np.mean(values):.3f}", *(f"{value:.3f}" for value in values))
    finish(args, bars({name: float(np.mean(values)) for name, values in scores.items()}, "accuracy on speakers held out"))


if __name__ == "__main__":
    main()
