"""Say which folders become which packages; everything else is in pyproject.toml.

`plugins/` and `tasks/` are installed under names of their own. Neither pyproject.toml nor hatchling
can rename a folder and keep it editable, and a list of packages written by hand would miss the
next one, so they are found here. Every file in them goes into the wheel, weights and samples too,
but for what made the weights: a clone has that, and nothing imports it at run time.
"""

from setuptools import find_packages, setup

FOLDERS = {
    "benchbench": "benchbench",
    "benchbench_plugins": "plugins",
    "benchbench_tasks": "tasks",
}

packages = [
    ".".join(filter(None, (package, inner)))
    for package, folder in FOLDERS.items()
    for inner in ("", *find_packages(folder, exclude=["*.pretraining"]))
]

setup(
    package_dir=FOLDERS,
    packages=packages,
    package_data={"": ["**/*"]},
    exclude_package_data={"": ["__pycache__/*", "*.py[co]", "pretraining/*", "*/pretraining/*"]},
)
