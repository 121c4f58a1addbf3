# `just` lists what there is. Everything goes through ./wallet or uv, as in CI.

_default:
    @just --list --unsorted

# Install everything into .venv
setup:
    uv sync --locked

# Bring the service up; more flags as in ./wallet up --help
run *flags:
    ./wallet up {{flags}}

# All tests
test *arguments:
    ./wallet test {{arguments}}

# Tests without servers: the pure packages, in seconds
test-fast *arguments:
    uv run --locked pytest tests/rating tests/ledger -m "not slow" {{arguments}}

# What CI complains about
lint:
    uv run --locked ruff check .
    uv run --locked ruff format --check .
    uv run --locked lint-imports

# Repair what can be repaired by itself
fix:
    uv run --locked ruff check --fix .
    uv run --locked ruff format .

# Types, strictly
types:
    uv run --locked pyright

# Bring the database of the running service to this version
migrate *flags:
    ./wallet migrate {{flags}}

# Write the pages that are made from code
docs:
    uv run --locked wallet settings > docs/reference/settings.md

# Fault runs on a stack of their own: races, repeats, kills, redis (minutes each; --ledger tigerbeetle too)
faults run *arguments:
    uv run --locked python loadtests/faults.py {{run}} {{arguments}}

# How fast the service is, as ratios to an empty handler (--quick, --only authorize …)
bench *arguments:
    uv run --locked python loadtests/bench.py {{arguments}}

# Does it stay as fast with a million customers and ten million events? An hour, 15 GB
bench-growth *arguments:
    uv run --locked python loadtests/bench_growth.py {{arguments}}

# Stories with Locust, in a browser: http://127.0.0.1:8089
load *arguments:
    uv run --locked python loadtests/load.py {{arguments}}

# One story on the terminal: authorize_capture, event_batches, top_up_storm, one_hot_wallet, month_end
load-headless story *arguments:
    uv run --locked python loadtests/load.py {{story}} --headless {{arguments}}

# A flame graph of an api worker under load (--row pairs, --format raw for a table)
profile *arguments:
    uv run --locked python loadtests/flame.py {{arguments}}

# What pricing one event costs, per charge model, beside a dictionary look-up
bench-rating *arguments:
    uv run --locked python loadtests/bench_rating.py {{arguments}}

# What reading usage costs with many events behind it (--events 10000000: minutes, 7 GB)
bench-usage *arguments:
    uv run --locked python loadtests/bench_usage.py {{arguments}}

# Everything that CI runs
check:
    .ci/run
