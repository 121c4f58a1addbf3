"""What an operator can set or call is documented."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from wallet_service.cli import main
from wallet_service.cli.settings import reference
from wallet_service.settings import Settings

ROOT = Path(__file__).parents[2]
FIELDS = msgspec.structs.fields(Settings)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_setting_says_what_it_means(field):
    metas = [part for part in field.type.__metadata__ if isinstance(part, msgspec.Meta)]
    assert metas[0].description.endswith((".", "days.", "`."))


def test_the_page_of_settings_is_the_one_that_the_command_prints():
    page = (ROOT / "docs/reference/settings.md").read_text()
    assert page == reference(), "run `just docs`"


@pytest.mark.parametrize("name", main.list_commands(None))
def test_every_command_explains_itself(name):
    command = main.get_command(None, name)
    assert command.help
    if name != "test":  # its options are pytest's
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, result.output
