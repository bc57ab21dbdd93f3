"""Makes the dashboards of `deploy/grafana/dashboards`: `make dashboards` writes them (decision 0030)."""
