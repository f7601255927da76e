"""PyTorch: the usual loop over minibatches of float tensors that are already in memory."""

import torch
from torch.nn import functional as F

import layout
from contender import LEARNING_RATE, repeat

MODES = ("eager", "channels-last", "compile", "in-order")
"""in-order is eager with minibatches that are slices: what the loop costs without a shuffle."""

UPDATES = {
    "one tensor at a time": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}
"""The ways in which torch.optim.SGD updates; the fastest one counts."""


class Torch:
    """Images lie in memory in the order that the mode wants: rows of them are gathered whole."""

    trains = True
    dtype = "float32"

    def __init__(self, mode: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.mode = mode
        self.chunks = (250, 10_000) if mode == "compile" else (50, 250, 1000, 10_000)
        self.last = mode == "channels-last"
        self.format = torch.channels_last if self.last else torch.contiguous_format

    def version(self) -> str:
        return torch.__version__

    def load(self, data):
        self.images = self._ordered(data.floats())
        self.labels = torch.from_numpy(data.labels).long()
        self.test = {
            "float32": self._ordered(data.test_floats()),
            "uint8": self._ordered(data.test_images),
        }

    def _ordered(self, images):
        """(n, rows, columns, channels), or channels before rows, one image after the other."""
        x = torch.from_numpy(images)
        return x if self.last else x.permute(0, 3, 1, 2).contiguous()

    def _batch(self, x):
        """(n, channels, rows, columns), of images as they lie; nothing is copied."""
        return x.permute(0, 3, 1, 2) if self.last else x

    def build(self, net, weights, batch_size):
        self.batch_size = batch_size
        self.model = layout.network(net, weights).to_torch().to(memory_format=self.format)
        self.call = self.model
        if self.mode == "compile":
            torch._dynamo.reset()
            self.call = torch.compile(self.model, dynamic=False)
        self._update_by("foreach")
        self.start = len(self.images)  # a new epoch

    def _update_by(self, way: str) -> None:
        self.optimizer = torch.optim.SGD(self.model.parameters(), LEARNING_RATE, **UPDATES[way])

    def _step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.call(self._batch(x)), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, chosen):
        self.model.train()
        rows = torch.from_numpy(chosen)
        return [self._step(*self._gathered(row)).item() for row in rows]

    def _gathered(self, rows):
        return self.images.index_select(0, rows), self.labels.index_select(0, rows)

    def settle(self, seconds):
        self.train(seconds)
        rates = {}
        for way in UPDATES:
            self._update_by(way)
            images, elapsed = self.train(seconds / 3)
            rates[way] = images / elapsed
        best = max(rates, key=rates.__getitem__)
        self._update_by(best)
        return best

    def train(self, seconds):
        self.model.train()
        steps, elapsed = repeat(self._next_step, seconds)
        return steps * self.batch_size, elapsed

    def _next_step(self):
        """One minibatch of an endless row of epochs; the last, smaller one is left out."""
        end = self.start + self.batch_size
        if end > len(self.images):
            self.order = torch.randperm(len(self.images))
            self.start, end = 0, self.batch_size
        if self.mode == "in-order":
            self._step(self.images[self.start : end], self.labels[self.start : end])
        else:
            self._step(*self._gathered(self.order[self.start : end]))
        self.start = end

    def predictor(self, start, stop, dtype):
        self.model.eval()
        images = self._batch(self.test[dtype][start:stop])

        def predict():
            with torch.inference_mode():
                x = images.float().div_(255) if dtype == "uint8" else images
                return self.call(x).softmax(1).numpy()

        return predict
