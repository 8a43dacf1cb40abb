"""How what is configured becomes the defaults of a resource's fields."""

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import create_model

if TYPE_CHECKING:
    import dagster as dg

_Resource = TypeVar("_Resource", bound="dg.ConfigurableResource[Any]")


def with_defaults(resource: type[_Resource], values: Mapping[str, object]) -> _Resource:
    """A resource whose fields have these values, by their names in Python, unless a run says else.

    They are defaults of a class: of an instance's values Dagster forgets all as soon as the
    launchpad says one.
    """
    fields = {}
    for name, value in values.items():
        field = copy(resource.model_fields[name])
        field.default = value
        fields[name] = (field.annotation, field)
    made = create_model(  # type: ignore[call-overload]  # fields by name are no typed dictionary
        resource.__name__,
        __base__=resource,
        __module__=resource.__module__,
        __doc__=resource.__doc__,
        **fields,
    )
    created: _Resource = made()
    return created
