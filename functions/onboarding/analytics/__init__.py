"""The analytics of onboarding: the daily funnel, the reasons, and the times to onboard.

A customer counts for the day, in UTC, on which the API accepted the registration. Of each customer the facts are kept
that were heard, and in one transaction with them the day's counters are changed by what they add to what was known: so
a number is right whatever comes twice, or in another order, and is read without reading the customers.

    CUSTOMER#{customerId}  FACTS             the facts; they expire, the counters don't
    DAY#{date}             COUNT#{shard}     counters, spread over some items so that transactions seldom meet
    DAY#{date}             TIME#{tenths}     how many were onboarded in so many tenths of a second
"""

REJECTION, FAILURE, TIME = "rejection:", "failure:", "TIME#"
TENTHS = 10  # of a second
