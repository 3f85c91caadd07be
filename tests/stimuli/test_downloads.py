"""Data that was not downloaded to its end: one sentence, and it never passes for the data.

A server on this machine hangs up; torchvision's own code downloads from it.
"""

import gzip
import hashlib
import socketserver
import struct
import threading
from http.server import BaseHTTPRequestHandler

import pytest
import torch
import torchvision

from ratenet.errors import DataError
from ratenet.stimuli import load_images

NUMBERS = {"train": 20, "t10k": 10}


def idx(*axes: int, content: bytes) -> bytes:
    """Return a file in the IDX format of MNIST."""
    return bytes([0, 0, 8, len(axes)]) + struct.pack(f">{len(axes)}I", *axes) + content


def tiny_mnist() -> dict[str, bytes]:
    """Return files like MNIST's, of a few digits that are noise."""
    files = {}
    for seed, (split, number) in enumerate(NUMBERS.items()):
        noise = torch.Generator().manual_seed(seed)
        pixels = torch.randint(256, (number * 784,), generator=noise, dtype=torch.uint8)
        labels = bytes(index % 10 for index in range(number))
        files[f"{split}-images-idx3-ubyte"] = idx(number, 28, 28, content=bytes(pixels.tolist()))
        files[f"{split}-labels-idx1-ubyte"] = idx(number, content=labels)
    return files


class Server(socketserver.ThreadingTCPServer):
    """Serves the tiny MNIST, as long as it does not hang up."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        packed = {name: gzip.compress(content, mtime=0) for name, content in tiny_mnist().items()}
        self.files = {f"/{name}.gz": content for name, content in packed.items()}
        self.hangs_up: str | None = None  # how, in the second file


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        content = self.server.files[self.path]
        how = self.server.hangs_up if "train-labels" in self.path else None
        is_chunked = how == "between chunks"
        self.send_response(200)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if is_chunked:
            self.wfile.write(b"%x\r\n" % len(content) + content[:20])
        else:
            self.wfile.write(content if how is None else content[: len(content) // 2])
        self.close_connection = True

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    """Serve what torchvision downloads; MNIST is the tiny one."""
    mnist = torchvision.datasets.MNIST
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as found:
        resources = [
            (path[1:], hashlib.md5(content).hexdigest()) for path, content in found.files.items()
        ]
        address = f"http://127.0.0.1:{found.server_address[1]}/"
        monkeypatch.setattr(mnist, "mirrors", [address])
        monkeypatch.setattr(mnist, "resources", resources)
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def raw_folder(root, files: dict[str, bytes]):
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def load_error(root, **options) -> str:
    with pytest.raises(DataError) as error:
        load_images("mnist", root=root, **options)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("Data set 'mnist': ")
    return str(error.value)


def assert_tiny_mnist(root, **options) -> None:
    images = load_images("mnist", root=root, **options)
    content = tiny_mnist()
    for part, split in ((images.train, "train"), (images.test, "t10k")):
        pixels = content[f"{split}-images-idx3-ubyte"][16:]
        assert (part.pixels * 255).round().to(torch.uint8).flatten().tolist() == list(pixels)
        assert part.labels.tolist() == list(content[f"{split}-labels-idx1-ubyte"][8:])


@pytest.mark.parametrize("how", ["half way", "between chunks"])
def test_an_interrupted_download_is_one_sentence_and_is_repeated(how, server, tmp_path):
    server.hangs_up = how
    (tmp_path / "notes.txt").write_text("mine")
    said = load_error(tmp_path)
    assert "could not be downloaded" in said
    load_error(tmp_path, download=False)
    server.hangs_up = None
    assert_tiny_mnist(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_without_a_network_nothing_is_lost(server, tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    files = dict(list(tiny_mnist().items())[:3])
    folder = raw_folder(tmp_path, files)
    assert "Error downloading train-images-idx3-ubyte.gz" in load_error(tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


@pytest.mark.parametrize("name", list(tiny_mnist()))
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_named(name, share, server, tmp_path):
    files = tiny_mnist()
    files[name] = files[name][: int(share * len(files[name]))]
    folder = raw_folder(tmp_path, files)
    said = load_error(tmp_path)
    assert f"{str(folder / name)!r} is damaged or was cut off; delete it" in said
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    (folder / name).unlink()
    assert_tiny_mnist(tmp_path)


def test_half_an_archive_does_not_pass_for_the_data(server, tmp_path):
    files = tiny_mnist()
    del files["t10k-labels-idx1-ubyte"]
    whole = server.files["/t10k-labels-idx1-ubyte.gz"]
    raw_folder(tmp_path, {**files, "t10k-labels-idx1-ubyte.gz": whole[: len(whole) // 2]})
    assert "is not there (download=False)" in load_error(tmp_path, download=False)
    assert_tiny_mnist(tmp_path)


def test_files_of_somebody_else_are_one_sentence(server, tmp_path, monkeypatch):
    def locked(path, *arguments):
        raise PermissionError(13, "Permission denied", str(path))

    raw_folder(tmp_path, tiny_mnist())
    monkeypatch.setattr(torchvision.datasets.mnist, "read_image_file", locked)
    monkeypatch.setattr("pathlib.Path.read_bytes", locked)
    assert "Permission denied" in load_error(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train-labels-idx1-ubyte", idx(15, content=bytes(15))),
        ("t10k-labels-idx1-ubyte", idx(10, content=bytes([10] * 10))),
    ],
)
def test_labels_that_do_not_fit_are_refused(name, content, server, tmp_path):
    raw_folder(tmp_path, {**tiny_mnist(), name: content})
    assert "its labels do not fit its images" in load_error(tmp_path)
