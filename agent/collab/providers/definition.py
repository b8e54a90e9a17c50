"""What `[providers.NAME]` says: built in here, and laid over by configs/roles.toml."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError
from pydantic import model_validator as whole

from agent.collab.providers.addresses import check_url
from agent.config import ConfigError, config_error, merged, read_toml
from agent.quantities import Count, Duration, Name  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spool.workspace import Workspace

ROLES_FILE: Final = "roles.toml"
TABLE: Final = "providers"

SchemaMode = Literal["json_schema", "json_object", "tool", "prompt"]


Url = Annotated[StrictStr, AfterValidator(check_url)]
Variable = Annotated[StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Dollars = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1e6)]
_STRICT = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Price(BaseModel):
    """Dollars for a million tokens."""

    model_config = _STRICT
    input: Dollars
    output: Dollars


class Login(BaseModel):
    """A device flow of RFC 8628; the variables QWEN_* (or NAME_*) win over what stands here.

    Args:
        device_auth_url: where a device asks for a code.
        token_url: where it asks whether a person has agreed, and for new tokens later.
        client_id: by which the server knows us.
        scope: separated by spaces or commas.
    """

    model_config = _STRICT
    device_auth_url: Url | None = None
    token_url: Url | None = None
    client_id: StrictStr | None = None
    scope: StrictStr = ""


class ProviderDefinition(BaseModel):
    """One provider.

    Args:
        name: the table's.
        kind: its wire format; `tool` is an AI tool behind a spool.
        base_url: up to the part that the wire format's own paths begin with.
        base_url_env: a variable that wins over it.
        model: the default one; without it, the first that the server lists.
        family: of all its models, when their names do not tell.
        schema_mode: how it is told what an answer must look like. Every answer is checked here as well.
        takes_temperature: false for models that refuse one.
        max_tokens: of an answer, when the role does not say.
        key_env: variables that may hold its keys; a value may hold several, separated by commas.
        key_file: a file of ours alone (0600) with one key a line.
        keyring: whether the desktop's keyring is asked (service `aispool`, user NAME).
        needs_key: false for servers that take everybody.
        login: how to log in without a key.
        local: a server on this machine, used without being named when there is nothing else.
        requests_per_minute: for all processes of this workspace.
        max_parallel: calls at once by one process, before others are preferred.
        timeout_s: of one call; two minutes unless set, and half an hour for a tool.
        proxy: instead of the one in the environment.
        headers: sent with each request; no secrets.
        body: laid into each request, for what only this provider knows.
        prices: by model, or `default`.
        tool: for `tool`: its name in the tool registry.
        host: for `tool`: a host of the collector, or `any`; this workspace when unset.
        parameters: for `tool`: laid into the task's parameters.
    """

    model_config = _STRICT

    name: Name
    kind: Literal["openai", "gemini", "anthropic", "tool"]
    base_url: Url | None = None
    base_url_env: Variable | None = None
    model: StrictStr | None = None
    family: Name | None = None
    schema_mode: SchemaMode = "prompt"
    takes_temperature: StrictBool = True
    max_tokens: Count | None = None
    key_env: tuple[Variable, ...] = ()
    key_file: StrictStr | None = None
    keyring: StrictBool = True
    needs_key: StrictBool = True
    login: Login | None = None
    local: StrictBool = False
    requests_per_minute: Count | None = None
    max_parallel: Count = 4
    timeout_s: Duration | None = None
    proxy: Url | None = None
    headers: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    body: dict[StrictStr, Any] = Field(default_factory=dict)
    prices: dict[StrictStr, Price] = Field(default_factory=dict)
    tool: Name | None = None
    host: Name | None = None
    parameters: dict[StrictStr, Any] = Field(default_factory=dict)

    @whole(mode="after")
    def _complete(self) -> Self:
        if self.kind == "tool":
            if self.tool is None:
                raise ValueError('it does not say which tool: add tool = "claude", say')
        elif self.base_url is None and self.base_url_env is None:
            raise ValueError('it does not say where: add base_url = "https://…"')
        elif self.tool is not None or self.host is not None or self.parameters:
            raise ValueError('tool, host and parameters are for tools: take them out, or write kind = "tool"')
        secret = {"authorization", "proxy-authorization", "cookie", "x-api-key", "x-goog-api-key", "api-key"}
        if given := sorted(name for name in self.headers if name.lower() in secret):
            raise ValueError(f"{given[0]} is a secret: take it out, and give the key as key_env says")
        return self

    @property
    def call_timeout_s(self) -> float:
        """Return how long one call may take."""
        return self.timeout_s or (1800.0 if self.kind == "tool" else 120.0)

    def url(self, environment: Mapping[str, str]) -> str:
        """Return its base URL.

        Raises:
            ValueError: the variable holds none; the message says what to do.
        """
        named = environment.get(self.base_url_env, "") if self.base_url_env else ""
        if named:
            try:
                return check_url(named)
            except ValueError as error:
                raise ValueError(f"{self.base_url_env}: {error}") from None
        if self.base_url is None:
            raise ValueError(f"nobody says where {self.name} is: set {self.base_url_env}")
        return self.base_url

    def cost_usd(
        self, models: tuple[str, ...], input_tokens: int | None, output_tokens: int | None
    ) -> float | None:
        """Return what a call costs; None when the price or the tokens are not known.

        Args:
            models: names of the one that answered; the first that has a price counts.
            input_tokens: of the question.
            output_tokens: of the answer.
        """
        names = (*models, "default")
        price = next((self.prices[name] for name in names if name in self.prices), None)
        if price is None or input_tokens is None or output_tokens is None:
            return None
        return (input_tokens * price.input + output_tokens * price.output) / 1e6


def load_definitions(workspace: Workspace) -> dict[str, ProviderDefinition]:
    """Return the built-in providers with `[providers.*]` of configs/roles.toml laid over them.

    Raises:
        ConfigError: the file cannot be used.
    """
    file = workspace.configs / ROLES_FILE
    table = read_toml(file).get(TABLE, {})
    if not isinstance(table, dict):
        raise ConfigError(file, "it is not a table", f"write [{TABLE}.NAME]", place=TABLE)
    return definitions(file, table)


def definitions(file: Path, table: Mapping[str, Any]) -> dict[str, ProviderDefinition]:
    """Return the built-in providers with a `[providers]` table laid over them.

    Args:
        file: where the table came from, for messages.
        table: provider → options.

    Raises:
        ConfigError: the table cannot be used.
    """
    return {name: _defined(file, name, options) for name, options in merged(builtin(), table).items()}


def builtin() -> dict[str, Any]:
    """Return the providers that ship with us, as their file says it."""
    text = resources.files(__package__ or "").joinpath("builtin.toml").read_text("utf-8")
    return tomllib.loads(text)


def _defined(file: Path, name: str, options: Any) -> ProviderDefinition:
    place = f"{TABLE}.{name}"
    if not isinstance(options, dict):
        raise ConfigError(file, "it is not a table", f"write [{place}]", place=place)
    if "name" in options:
        raise ConfigError(file, "there is no option 'name'", "the table's own name counts", place=place)
    try:
        return ProviderDefinition.model_validate({**options, "name": name})
    except ValidationError as error:
        known = (*ProviderDefinition.model_fields, *Login.model_fields)
        raise config_error(file, error, known, (TABLE, name)) from None
