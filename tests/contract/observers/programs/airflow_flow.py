"""DAGs of Airflow, by the names of scenarios, each run once in this process as ``airflow dags test`` does."""

import os
import shutil
import subprocess
import sys
import time

SCENARIOS, FOLDER = sys.argv[1].split(), sys.argv[2]
DAGS = os.path.join(FOLDER, "dags")
EMPTY = os.path.join(sys.prefix, "empty.db")  # migrated once for the environment: that takes ten seconds
SETTINGS = {
    "AIRFLOW_HOME": FOLDER,
    "AIRFLOW__CORE__DAGS_FOLDER": DAGS,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:///" + os.path.join(FOLDER, "airflow.db"),
}


def prepare():
    """A home with an empty database, and this file as its DAGs."""
    os.makedirs(DAGS, exist_ok=True)
    os.environ.update(SETTINGS, AIRFLOW_SCENARIOS=" ".join(SCENARIOS))
    if not os.path.exists(EMPTY):
        where = {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:///" + EMPTY + ".new", "ROTA_DISABLED": "1"}
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=where, check=True, capture_output=True)
        os.rename(EMPTY + ".new", EMPTY)
    if os.environ.get("OBSERVED") == "yes":  # where rota is not installed, so that Airflow does not find it by itself
        os.makedirs(os.path.join(FOLDER, "plugins"))
        with open(os.path.join(FOLDER, "plugins", "rota_plugin.py"), "w") as file:
            file.write("from rota_integrations.airflow import Plugin  # noqa: F401\n")
    shutil.copy(EMPTY, os.path.join(FOLDER, "airflow.db"))
    shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), "airflow_dags.py"), DAGS)


if __name__ == "__main__":
    prepare()
    sys.path.insert(0, DAGS)
    import airflow_dags

    for scenario in SCENARIOS:
        began = time.monotonic()
        airflow_dags.DAGS[scenario].test()
    sys.stdout.write(f"{time.monotonic() - began}\n")
