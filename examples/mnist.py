"""Train the network of the equations on MNIST and look at what it gets wrong.

Run it with the Python that convlet is installed in:  python examples/mnist.py
"""

import numpy as np

import convlet

data = convlet.datasets.load("mnist")
x, y = data.test.images, data.test.labels

network = convlet.Network(classes=data.classes)  # (22), (23): two convolutions, two dense layers
print(network.summary(), end="\n\n")

history = network.fit(data.train.images, data.train.labels, validation=(x, y), epochs=3)
print(history, end="\n\n")

probabilities = network.predict_proba(x)
guesses = probabilities.argmax(axis=1)
wrong = np.flatnonzero(guesses != y)
print(f"{len(wrong)} of {len(y)} test images are wrong.  The most confident mistakes:")
for n in wrong[np.argsort(-probabilities[wrong].max(axis=1))][:5]:
    print(f"  image {n}: {guesses[n]} ({probabilities[n].max():.1%}), but it is {y[n]}")

network.save("mnist.safetensors")
print("saved in mnist.safetensors")
