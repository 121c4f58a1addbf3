# The service without the embedded servers: for `serve`, `worker` and `migrate`.
FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /app
COPY pyproject.toml uv.lock README.md LICENSE ./
# Dependencies change rarely and the code often: two layers.
RUN uv sync --locked --no-dev --extra tigerbeetle --no-install-project --compile-bytecode
COPY ledger ledger
COPY rating rating
COPY invoicing invoicing
COPY wallet_service wallet_service
RUN uv sync --locked --no-dev --extra tigerbeetle --no-editable --compile-bytecode

FROM python:3.13-slim
RUN useradd --system --no-create-home wallet
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 WALLET_HOST=0.0.0.0 WALLET_PORT=8080
USER wallet
EXPOSE 8080
ENTRYPOINT ["wallet"]
CMD ["serve"]
