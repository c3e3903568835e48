"""Why a public set did not come."""

HOST_TIMEOUT_S = 15.0  # of silence; what kagglehub, too, grants where it sets a limit


class NotFetched(Exception):
    """A host did not hand it over; what has come is good and can be gone on with."""


class Spoiled(NotFetched):
    """What has come is of no use: going on with it would fail again."""
