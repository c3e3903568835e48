"""A sweep as one page that needs no network: what the journal tells, for people."""
