"""Mirror nodes for Django: verified replication and a health-aware balancer."""
