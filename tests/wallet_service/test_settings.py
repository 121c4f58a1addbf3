"""What the environment may say, and what it is told when it says something else."""

import pytest

from wallet_service.settings import InvalidSetting, load_settings


def test_an_empty_environment_gives_the_defaults():
    settings = load_settings({"PATH": "/usr/bin"})
    assert (settings.port, settings.workers, settings.ledger) == (8080, 2, "postgres")
    assert settings.hold_expires_in_s_max == 31 * 24 * 3600


def test_values_are_read_from_variables_with_the_prefix():
    settings = load_settings({"WALLET_PORT": " 9000 ", "WALLET_ALLOW_UNSAFE_DATABASE": "true"})
    assert settings.port == 9000
    assert settings.allow_unsafe_database is True


def test_an_empty_variable_counts_as_unset():
    assert load_settings({"WALLET_PORT": ""}).port == 8080


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WALLET_PORT", "0"),
        ("WALLET_PORT", "eighty"),
        ("WALLET_LEDGER", "sqlite"),
        ("WALLET_LOCK_TIMEOUT_MS", "-1"),
        ("WALLET_DEADLINE_S", "nan"),
        ("WALLET_ALLOW_UNSAFE_DATABASE", "perhaps"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(name, text):
    with pytest.raises(InvalidSetting, match=name):
        load_settings({name: text})


def test_a_misspelt_setting_is_refused():
    with pytest.raises(InvalidSetting, match="WALLET_ITEM_MAX"):
        load_settings({"WALLET_ITEM_MAX": "5"})


def test_variables_of_the_client_are_not_settings():
    load_settings({"WALLET_URL": "http://x", "WALLET_API_KEY": "secret"})


def test_a_default_hold_longer_than_the_longest_is_refused():
    with pytest.raises(InvalidSetting, match="HOLD_EXPIRES_IN_S_MAX"):
        load_settings({"WALLET_HOLD_EXPIRES_IN_S_MAX": "60"})


def test_a_refused_url_is_not_shown():
    with pytest.raises(InvalidSetting) as refusal:
        load_settings({"WALLET_DATABASE_URL": " "})
    assert "WALLET_DATABASE_URL=…" in str(refusal.value)
