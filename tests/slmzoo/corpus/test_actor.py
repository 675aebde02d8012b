"""What an actor of the cluster does, without a cluster."""

from __future__ import annotations

from slmzoo.corpus import cluster


def test_an_actor_with_other_models_refuses(settings, models):
    (known,) = models.provenance()
    assert not cluster._Encoder(settings, [known]).wrong
    row = cluster._Encoder(settings, [{**known, "encoder_sha256": "0" * 64, "slmzoo": "0.0"}])({"speech_items": []})
    message = row[cluster._STOPPED]
    assert "has other models than the one that began the job" in message
    assert f"encoder_sha256 was {'0' * 64}, now {known['encoder_sha256']}" in message
    assert "slmzoo was 0.0" in message
    assert "Install the same version and files" in message
