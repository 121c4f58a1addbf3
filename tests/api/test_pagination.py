"""Lists come in pages, and an empty list has none."""

import httpx


def test_pages_follow_each_other_until_the_last(api: httpx.Client) -> None:
    for name in ("paged-first", "paged-second", "paged-third"):
        assert api.post("/customers", json={"customer": {"external_id": name}}).is_success
    query = {"search_term": "paged-", "per_page": 2}
    front = api.get("/customers", params=query).json()
    back = api.get("/customers", params=query | {"page": 2}).json()
    beyond = api.get("/customers", params=query | {"page": 3}).json()
    assert [item["external_id"] for item in front["customers"]] == ["paged-third", "paged-second"]
    assert [item["external_id"] for item in back["customers"]] == ["paged-first"]
    assert beyond["customers"] == []
    assert front["meta"] == {
        "current_page": 1,
        "next_page": 2,
        "prev_page": None,
        "total_pages": 2,
        "total_count": 3,
    }
    assert back["meta"] | {"current_page": 1, "next_page": 2, "prev_page": None} == front["meta"]
    assert (back["meta"]["next_page"], back["meta"]["prev_page"]) == (None, 1)
    assert (beyond["meta"]["current_page"], beyond["meta"]["next_page"]) == (3, None)


def test_an_empty_list_has_no_page(api: httpx.Client) -> None:
    answer = api.get("/customers", params={"search_term": "nobody is called that"}).json()
    assert answer == {
        "customers": [],
        "meta": {
            "current_page": 0,
            "next_page": None,
            "prev_page": None,
            "total_pages": 0,
            "total_count": 0,
        },
    }
