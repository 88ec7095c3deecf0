"""Commands that tans-bench adds to the command line of tans."""
