"""What a warehouse costs by the hour: a small table of list prices, and the sentence made of it.

On-demand prices in US dollars, compared in September 2026 with what AWS and others publish. They
age: whatever is printed says so.
"""

from sparkify_dagster.aws.cluster.base import Plan
from sparkify_dagster.settings.sections import WarehouseKind

AS_OF = "September 2026"
WHERE = "https://aws.amazon.com/redshift/pricing/"
NODE_HOUR = {
    "ra3.large": 0.543,
    "ra3.xlplus": 1.086,
    "ra3.4xlarge": 3.26,
    "ra3.16xlarge": 13.04,
    "dc2.large": 0.25,
    "dc2.8xlarge": 4.80,
}
RPU_HOUR = 0.375
STORAGE = "storage ($0.024 per GB and month)"
REGIONS = ("us-east-1", "us-west-2")


def estimate(plan: Plan) -> str:
    """About how much it costs, with what it depends on and where to look."""
    if plan.kind is WarehouseKind.SERVERLESS:
        hourly = plan.base_capacity * RPU_HOUR
        cost = (
            f"about ${hourly:,.2f} for an hour of queries ({plan.base_capacity} RPU x"
            f" ${RPU_HOUR}, by the second, at least a minute each time; more when it scales up),"
            f" nothing for compute while idle, and {STORAGE}"
        )
    elif plan.node_type in NODE_HOUR:
        price = NODE_HOUR[plan.node_type]
        hourly = plan.num_nodes * price
        cost = (
            f"about ${hourly:,.2f} an hour, ${hourly * 730:,.0f} a month, busy or not"
            f" ({plan.num_nodes} x {plan.node_type} at ${price}), while it is not paused"
        )
        cost += f", and {STORAGE}" if plan.node_type.startswith("ra3.") else ""
    else:
        return f"Cost: no price of {plan.node_type} is known here. See {WHERE} before you go on."
    known = plan.region in REGIONS
    place = f"in {plan.region}" if known else f"in {REGIONS[0]}; {plan.region} may cost more"
    return (
        f"Estimated cost: {cost}. List prices of {AS_OF} {place}; an estimate, without tax,"
        f" discounts and free trials: {WHERE} has the prices of today."
    )
