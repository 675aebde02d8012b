from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from slmzoo.corpus import plan
from slmzoo.corpus.items import Item

lengths = st.lists(st.floats(0, 2000).map(lambda x: round(x, 2)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(lengths, st.none() | st.floats(1, 5000))
def test_every_item_is_in_one_shard(tmp_path_factory, values, seconds):
    place = tmp_path_factory.mktemp("plan") / "manifest.jsonl"
    items = [Item(id=f"é{i}", audio="x", probable=value) for i, value in enumerate(values)]
    plan.write_manifest(place, items)
    shards = plan.cut(place, seconds)
    assert [item for shard in shards for item in plan.items_of(place, shard)] == items
    assert [shard.number for shard in shards] == list(range(len(shards)))
    assert [len(plan.items_of(place, shard)) for shard in shards] == [shard.items for shard in shards]
    assert shards == plan.cut(place, seconds)
    if seconds is not None:
        assert all(shard.seconds >= seconds for shard in shards[:-1])


def test_shards_grow_with_the_corpus(tmp_path):
    sizes = {}
    for hours in (0.1, 4, 100):
        place = tmp_path / "manifest.jsonl"
        plan.write_manifest(place, (Item(id=str(i), audio="x", probable=15.0) for i in range(int(hours * 240))))
        sizes[hours] = plan.cut(place)[0].seconds
    assert sizes == {0.1: 120, 4: 225, 100: 3600}


def test_unknown_lengths_do_not_make_one_shard_of_all(tmp_path):
    plan.write_manifest(tmp_path / "m", (Item(id=str(i), audio="x") for i in range(5000)))
    assert len(plan.cut(tmp_path / "m", 1e9)) == 3
