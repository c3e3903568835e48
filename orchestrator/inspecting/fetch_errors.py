"""Why a public set did not come."""


class NotFetched(Exception):
    """A host did not hand it over; what has come is good and can be gone on with."""


class Spoiled(NotFetched):
    """What has come is of no use: going on with it would fail again."""
