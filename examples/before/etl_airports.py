"""Airports of the world: read a CSV file, clean it, load it into SQLite, print a report.

The data is the file that the PyPI package `airportsdata` ships. An argument names the database; by default it is in memory.
"""

import csv
import importlib.util
import sqlite3
import sys
from pathlib import Path

METRES_PER_FOOT = 0.3048
SCHEMA = """
DROP TABLE IF EXISTS airports;
CREATE TABLE airports (code TEXT PRIMARY KEY, name TEXT, city TEXT, country TEXT, metres INTEGER, lat REAL, lon REAL, tz TEXT);
"""
BY_COUNTRY = """
SELECT country, count(*), count(DISTINCT tz), round(avg(metres)) FROM airports
GROUP BY country ORDER BY count(*) DESC, country LIMIT 10
"""
HIGHEST = "SELECT code, name, country, metres FROM airports ORDER BY metres DESC, code LIMIT 10"


def data_file():
    package = importlib.util.find_spec("airportsdata")
    if package is None:
        sys.exit("etl_airports: the data is missing: pip install airportsdata")
    return Path(package.submodule_search_locations[0]) / "airports.csv"


def extract(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def transform(rows):
    """Unique codes, metres, no empty names; rows that are nowhere on Earth are dropped."""
    airports = {}
    for row in rows:
        lat, lon = float(row["lat"]), float(row["lon"])
        if not (-90 <= lat <= 90 and -180 <= lon <= 180) or (lat, lon) == (0, 0):
            continue
        code = row["icao"] or row["lid"] or row["iata"]
        city = row["city"].strip() or row["subd"].strip() or "?"
        metres = round(float(row["elevation"]) * METRES_PER_FOOT)
        airports.setdefault(code, (code, " ".join(row["name"].split()), city, row["country"], metres, lat, lon, row["tz"]))
    return list(airports.values())


def load(database, airports):
    with database:
        database.executescript(SCHEMA)
        database.executemany("INSERT INTO airports VALUES (?, ?, ?, ?, ?, ?, ?, ?)", airports)


def report(database):
    print("Airports by country")
    print(f"{'':4}{'airports':>10}{'zones':>8}{'mean elevation':>17}")
    for country, count, zones, metres in database.execute(BY_COUNTRY):
        print(f"{country:4}{count:>10,}{zones:>8}{metres:>15,.0f} m")
    print("\nThe highest")
    for code, name, country, metres in database.execute(HIGHEST):
        print(f"{metres:>7,} m  {code}  {name}, {country}")


def main():
    rows = extract(data_file())
    airports = transform(rows)
    print(f"{len(rows):,} rows read, {len(airports):,} airports kept\n")
    database = sqlite3.connect(sys.argv[1] if len(sys.argv) > 1 else ":memory:")
    load(database, airports)
    report(database)
    database.close()


if __name__ == "__main__":
    main()
