"""Yesterday's payments, summed by currency. The feed is sometimes broken, and then this script fails.

An argument seeds the made-up feed: with 1 it is whole, with 10 it is broken; without one it is broken about every third time.
"""

import random
import sys
from decimal import Decimal, InvalidOperation
import rota


class FeedError(Exception):
    """A line of the feed is not `id;currency;amount`."""


def fetch(seed):
    """The lines of the feed. Its sender writes `n/a` for an amount that it does not know."""
    chance = random.Random(seed)
    lines = [f"{n:05};{chance.choice(('EUR', 'USD', 'JPY'))};{chance.randrange(100, 99_999) / 100:.2f}" for n in range(500)]
    if chance.random() < 0.35:
        broken = chance.randrange(len(lines))
        lines[broken] = lines[broken].rpartition(";")[0] + ";n/a"
    return lines


def parse(lines):
    payments = []
    for number, line in enumerate(lines, start=1):
        try:
            _, currency, amount = line.split(";")
            payments.append((currency, Decimal(amount)))
        except (ValueError, InvalidOperation) as error:
            raise FeedError(f"line {number} of the feed is {line!r}") from error
    return payments


def summarise(payments):
    totals = {}
    for currency, amount in payments:
        totals[currency] = totals.get(currency, Decimal(0)) + amount
    for currency, total in sorted(totals.items()):
        print(f"{currency} {total:>12,}")


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else None
    lines = fetch(seed)
    print(f"{len(lines)} payments")
    summarise(parse(lines))


if __name__ == "__main__":
    rota.watch()
    main()
