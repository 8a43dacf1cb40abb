"""A stand-in for Amazon Redshift in tests: its wire protocol, grammar and COPY over PostgreSQL.

A surrogate, made from documentation because no live Redshift can be had: a test that passes here
shows that the platform keeps to what is documented, never that Redshift passed. Statements come
over TCP exactly as they would be sent; those that Redshift would refuse are refused, the rest runs
on a real PostgreSQL. Known differences: AVG of integers is not truncated, trailing blanks count in
comparisons, functions that PostgreSQL lacks (DATEDIFF, LISTAGG, NVL and others) fail, correlated
subqueries are not judged, and granting DROP or ALTER has no effect.
"""

from sparkify_dagster_tests.standin.backend import Postgres
from sparkify_dagster_tests.standin.s3_source import EVERYTHING, S3Access
from sparkify_dagster_tests.standin.server import StandIn

__all__ = ["EVERYTHING", "Postgres", "S3Access", "StandIn"]
