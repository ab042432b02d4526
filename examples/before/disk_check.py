"""Says how full the disk is that this script lies on. Cron runs it every few minutes, or so everybody believes."""

import os
import shutil


def share_used(path):
    usage = shutil.disk_usage(path)
    return usage.used / usage.total


if __name__ == "__main__":
    print(f"the disk is {share_used(os.path.abspath(__file__)):.0%} full")
