"""PyTorch: the usual loop over minibatches of float tensors that are already in memory."""

import torch
from torch.nn import functional as F

from contender import LEARNING_RATE, Data, repeat
from layout import channels_first

MODES = ("eager", "channels-last", "compile", "in-order")
"""in-order is eager with minibatches that are slices: what the loop costs without a shuffle."""


class Model(torch.nn.Module):
    def __init__(self, net) -> None:
        super().__init__()
        rows, columns, channels = net.features
        inputs = (rows * columns * channels, *net.units[:-1])
        shapes = zip(net.inputs, net.channels, net.paddings, strict=True)
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv2d(r, k, net.kernel, padding=padding) for r, k, padding in shapes
        )
        self.denses = torch.nn.ModuleList(
            torch.nn.Linear(n, m) for n, m in zip(inputs, net.units, strict=True)
        )

    def forward(self, x):
        for conv in self.convs:
            x = F.max_pool2d(F.relu(conv(x)), 2)
        x = x.flatten(1)
        for dense in self.denses[:-1]:
            x = F.relu(dense(x))
        return self.denses[-1](x)


class Torch:
    trains = True

    def __init__(self, mode: str, data: Data, threads: int) -> None:
        torch.set_num_threads(threads)
        self.mode = mode
        self.chunks = (250, 10_000) if mode == "compile" else (50, 250, 1000, 10_000)
        self.format = torch.channels_last if mode == "channels-last" else torch.contiguous_format
        self.images = self._images(data.floats())
        self.labels = torch.from_numpy(data.labels).long()
        self.test = self._images(data.test_floats())

    def _images(self, floats):
        x = torch.from_numpy(floats).reshape(len(floats), 1, 28, 28)
        return x.to(memory_format=self.format)

    def version(self) -> str:
        return torch.__version__

    def build(self, net, weights, batch_size):
        self.batch_size = batch_size
        self.model = Model(net).to(memory_format=self.format)
        layers = [*self.model.convs, *self.model.denses]
        with torch.no_grad():
            for layer, (w, b) in zip(layers, channels_first(net, weights), strict=True):
                layer.weight.copy_(torch.from_numpy(w))
                layer.bias.copy_(torch.from_numpy(b))
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE)
        self.call = self.model
        if self.mode == "compile":
            torch._dynamo.reset()
            self.call = torch.compile(self.model, dynamic=False)
        self.start = len(self.images)  # a new epoch

    def _step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.call(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, chosen):
        rows = torch.from_numpy(chosen)
        return [self._step(self.images[row], self.labels[row]).item() for row in rows]

    def train(self, seconds):
        steps, elapsed = repeat(self._next_step, seconds)
        return steps * self.batch_size, elapsed

    def _next_step(self):
        """One minibatch of an endless row of epochs; the last, smaller one is left out."""
        end = self.start + self.batch_size
        if end > len(self.images):
            self.order = torch.randperm(len(self.images))
            self.start, end = 0, self.batch_size
        chosen = slice(self.start, end) if self.mode == "in-order" else self.order[self.start : end]
        self._step(self.images[chosen], self.labels[chosen])
        self.start = end

    def predictor(self, start, stop):
        images = self.test[start:stop]

        def predict():
            with torch.inference_mode():
                return self.call(images).softmax(1).numpy()

        return predict
