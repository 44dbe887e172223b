"""What each attribute of an organisation may be: one rule for stating, verifying and supposing."""

from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from exchange.errors import BadInput
from exchange.http import Body
from exchange.policy.model import LARGEST, Industry

Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
Figure = Annotated[int, Field(ge=0, le=LARGEST, strict=True)]


class Declared(Body):
    """First attributes of an organisation, all with the same evidence."""

    jurisdiction: Country | None = Field(None, examples=["CN"])
    industry: Industry | None = Field(None, examples=["software_it_services"])
    headcount: Figure | None = Field(None, description="Persons", examples=[42])
    revenue_cny_10k: Figure | None = Field(None, description="10,000 CNY", examples=[900])
    assets_cny_10k: Figure | None = Field(None, description="10,000 CNY")


def check_value(name: str, value: str | int) -> None:
    """Raise BadInput (422) for what is no value of this attribute."""
    try:
        Declared.model_validate({name: value})
    except ValidationError as error:
        raise BadInput(
            "attribute_invalid",
            f"This is no value of {name}.",
            hint=error.errors(include_url=False)[0]["msg"],
            status=422,
        ) from error
