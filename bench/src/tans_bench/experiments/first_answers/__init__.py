"""First answers to whether a user is better off with what tans proposes: too few runs to tell."""
