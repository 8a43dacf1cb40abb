"""What the warehouse says, for eyes: charts and the report. No Dagster."""
