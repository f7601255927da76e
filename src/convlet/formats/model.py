def load(path):
    raise NotImplementedError


def save_network(network, path):
    raise NotImplementedError
