from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from slmcore.clustering.codebook import Codebook
from slmcore.errors import FetchError, OfflineError
from slmcore.files.checkpoint import read
from slmcore.files.pretrained import weights_file
from slmcore.units import OperatingPoint

POINT = OperatingPoint(zoo="tiny", k=3, layer=2)


def book(seed: int = 0) -> Codebook:
    return Codebook(torch.randn(3, 4, generator=torch.Generator().manual_seed(seed)), POINT)


def never(content: object):
    raise AssertionError(content)


@pytest.fixture
def hub(tmp_path, monkeypatch) -> SimpleNamespace:
    """A Hugging Face hub on this disk: a folder for each repository, and the calls that were made."""
    calls: list[tuple] = []

    def snapshot(repo, *, revision, local_files_only, allow_patterns):
        assert allow_patterns is None
        calls.append(("snapshot", repo, revision, local_files_only))
        return str(tmp_path / "hub" / repo)

    def download(repo, file, *, revision, local_files_only):
        calls.append(("file", repo, file, revision))
        return str(tmp_path / "hub" / repo / file)

    class Api:
        def create_repo(self, repo, *, private, exist_ok):
            calls.append(("create", repo, private, exist_ok))
            (tmp_path / "hub" / repo).mkdir(parents=True, exist_ok=True)

        def file_exists(self, repo, file):
            return (tmp_path / "hub" / repo / file).is_file()

        def upload_folder(self, *, repo_id, folder_path, commit_message, ignore_patterns):
            calls.append(("upload", repo_id, commit_message))
            for file in Path(folder_path).iterdir():
                if file.name in (ignore_patterns or []):
                    continue
                (tmp_path / "hub" / repo_id / file.name).write_bytes(file.read_bytes())

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    return SimpleNamespace(calls=calls, folder=tmp_path / "hub")


def test_a_folder_is_made_and_loads_back(tmp_path):
    file = book().save_pretrained(tmp_path / "new" / "folder", {"recipe": "none"})
    assert file == tmp_path / "new" / "folder" / "model.safetensors"
    for path in (file, file.parent, str(file.parent)):
        loaded = Codebook.from_pretrained(path)
        assert torch.equal(loaded.codes, book().codes)
        assert loaded.operating_point == POINT
    assert read(file, "codebook", never).provenance == {"recipe": "none"}


def test_a_home_folder_is_written_out(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert book().save_pretrained("~/models") == tmp_path / "models" / "model.safetensors"
    assert Codebook.from_pretrained("~/models").k == 3


def test_the_saved_file_is_taken_before_others(tmp_path):
    torch.save({"codebook": book(1).codes}, tmp_path / "published.pt")
    assert torch.equal(Codebook.from_pretrained(tmp_path).codes, book(1).codes)
    book(2).save_pretrained(tmp_path)
    assert torch.equal(Codebook.from_pretrained(tmp_path).codes, book(2).codes)


def test_what_is_no_choice_of_weights_is_refused(tmp_path):
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError, match="weights"):
            weights_file(missing)
    for name in ("one.pt", "two.ckpt"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"one\.pt, two\.ckpt"):
        weights_file(tmp_path)


def test_a_model_comes_back_from_the_hub(hub):
    address = book().push_to_hub("lab/book", private=True, provenance={"licence": "MIT"})
    assert address == "hf://lab/book"
    assert hub.calls == [("create", "lab/book", True, True), ("upload", "lab/book", "Upload Codebook")]
    for named in ("hf://lab/book", "hf://lab/book@v1", "hf://lab/book/model.safetensors"):
        assert torch.equal(Codebook.from_pretrained(named).codes, book().codes)
    assert hub.calls[2:] == [
        ("snapshot", "lab/book", None, False),
        ("snapshot", "lab/book", "v1", False),
        ("file", "lab/book", "model.safetensors", None),
    ]
    assert read(hub.folder / "lab/book/model.safetensors", "codebook", never).provenance == {"licence": "MIT"}


def test_the_message_of_an_upload(hub):
    book().push_to_hub("lab/book", message="Codes of layer 2")
    assert hub.calls == [("create", "lab/book", None, True), ("upload", "lab/book", "Codes of layer 2")]


def test_the_card_on_the_hub_names_its_address(hub):
    book().push_to_hub("lab/book", provenance={"licence": "CC BY 4.0"})
    card = (hub.folder / "lab/book/README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\nlibrary_name: slmzoo\n")
    assert 'Codebook.from_pretrained("hf://lab/book")' in card
    book().push_to_hub("lab/book", provenance={"licence": "MIT"})
    assert "license: mit\n" in (hub.folder / "lab/book/README.md").read_text()


def test_a_card_on_the_hub_that_a_person_wrote_is_kept(hub):
    book().push_to_hub("lab/book")
    (hub.folder / "lab/book/README.md").write_text("# Our codes\n")
    book(1).push_to_hub("lab/book")
    assert (hub.folder / "lab/book/README.md").read_text() == "# Our codes\n"
    assert torch.equal(Codebook.from_pretrained("hf://lab/book").codes, book(1).codes)


@pytest.mark.parametrize("repo", ["book", "lab/book/file", "lab/book@v1", "", "lab/"])
def test_names_that_are_no_repository_are_refused(repo, hub):
    with pytest.raises(ValueError, match="`repo` must be owner/name"):
        book().push_to_hub(repo)
    assert hub.calls == []


def test_offline_nothing_is_sent_and_only_the_cache_is_read(hub, monkeypatch):
    book().push_to_hub("lab/book")
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    hub.calls.clear()
    with pytest.raises(OfflineError, match="lab/book"):
        book().push_to_hub("lab/book")
    assert Codebook.from_pretrained("hf://lab/book").k == 3
    assert hub.calls == [("snapshot", "lab/book", None, True)]


def test_errors_of_the_hub_name_the_address(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError("401")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(FetchError, match="hf://lab/secret: 401"):
        Codebook.from_pretrained("hf://lab/secret")


def test_a_repository_that_is_not_cached_is_not_here_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("SLMZOO_OFFLINE", "1")
    with pytest.raises(OfflineError, match="SLMZOO_OFFLINE"):
        Codebook.from_pretrained("hf://lab/surely-not-cached")
