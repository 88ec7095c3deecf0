"""tans-bench: packaged datasets, rivals, and the experiments that compare them with tans."""
