"""Is a user better off with what tans proposes? How the stored runs are compared and shown."""
