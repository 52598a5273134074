"""The clusters of a job, which live as long as a run."""

from components.sdk import databricks
from components.settings_model import Cluster

# How a cluster without workers says so: https://docs.databricks.com/api/workspace/clusters/create
SINGLE_NODE_CONF = {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"}
SINGLE_NODE_TAGS = {"ResourceClass": "SingleNode"}


def job_cluster(key: str, cluster: Cluster) -> databricks.JobJobClusterArgs:
    """One cluster. Unity Catalog wants one of the two secure access modes; a job's cluster has one user."""
    single = cluster.workers == 0
    autoscale = cluster.autoscale
    return databricks.JobJobClusterArgs(
        job_cluster_key=key,
        new_cluster=databricks.JobJobClusterNewClusterArgs(
            spark_version=cluster.spark_version,
            node_type_id=cluster.node_type,
            num_workers=cluster.workers,
            autoscale=databricks.JobJobClusterNewClusterAutoscaleArgs(
                min_workers=autoscale.least, max_workers=autoscale.most
            )
            if autoscale
            else None,
            data_security_mode="SINGLE_USER",
            policy_id=cluster.policy,
            spark_conf={**cluster.spark_conf, **(SINGLE_NODE_CONF if single else {})} or None,
            custom_tags=SINGLE_NODE_TAGS if single else None,
        ),
    )
