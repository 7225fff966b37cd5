"""A model that stands in its owner's catalogue alone gets to the machines that are rented for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloud_support.pretend_cloud import PretendStore
from cloud_support.tiny_model import MODEL, TinyModel
from meerkat_cloud_burst.burst.wanted import find_model
from meerkat_cloud_burst.messages import OWN_CATALOGUE, model_key
from meerkat_cloud_burst.worker.models import Models
from meerkat_contract.errors import ModelError, UsageError


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyModel:
    """Made at home; this machine knows nothing of it."""
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MEERKAT_CATALOGUE", "")
    return TinyModel(tmp_path)


def test_what_is_uploaded_is_enough_for_a_bare_machine(
    tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home"
    tiny.write(folder)
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(tiny.catalogue))
    up = find_model(MODEL, [folder])
    assert up.files[OWN_CATALOGUE] == tiny.catalogue
    bucket = PretendStore({model_key(name): path.read_bytes() for name, path in up.files.items()})

    monkeypatch.setenv("MEERKAT_CATALOGUE", "")
    detector = Models(bucket.fetch_clip, model=MODEL).open()
    assert (detector.info.name, detector.info.engine) == (MODEL, "opencv")


def test_without_a_catalogue_in_the_bucket_the_name_is_unknown(tiny: TinyModel) -> None:
    with pytest.raises(ModelError, match="no model is named"):
        Models(PretendStore(tiny.objects()).fetch_clip, model=MODEL).open()


def test_a_machine_with_a_catalogue_of_its_own_keeps_to_it(
    tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("")
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(mine))
    objects = {**tiny.objects(), model_key(OWN_CATALOGUE): tiny.catalogue.read_bytes()}
    with pytest.raises(ModelError, match="no model is named"):
        Models(PretendStore(objects).fetch_clip, model=MODEL).open()


def test_a_catalogue_that_cannot_be_read_spoils_no_other_model(tiny: TinyModel) -> None:
    bucket = PretendStore({model_key(OWN_CATALOGUE): b"no [toml"})
    with pytest.raises(UsageError, match="the catalogue cannot be read"):
        Models(bucket.fetch_clip, model=MODEL).open()
    assert not os.environ.get("MEERKAT_CATALOGUE")
