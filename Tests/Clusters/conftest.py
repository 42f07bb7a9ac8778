"""Fixtures of the cluster tests: the binary, the data, a fastText model, Spark.

    APUS_BINARY=.build/release/apus APUS_DATA=../shared/data python -m pytest Tests/Clusters
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path += [str(REPOSITORY / "deploy/spark"), str(REPOSITORY / "Tests/Integration")]  # predict.py; binary_and_data.py

pytest.register_assert_rewrite("manifests", "tweets")

for name in list(os.environ):
    if name.startswith(("APUS_MODEL", "SPARK_", "PYSPARK_")) or name.lower().endswith("_proxy"):
        del os.environ[name]
# All of Spark's parts talk over loopback, and use this Python.
os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "NO_PROXY": "127.0.0.1,localhost"}

import tweets  # noqa: E402
from binary_and_data import apus, data  # noqa: E402, F401


@pytest.fixture(scope="session")
def fasttext_model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained in a second: fast enough that 200,000 rows are no matter."""
    import fasttext

    folder = tmp_path_factory.mktemp("fasttext")
    texts = folder / "train.txt"
    examples = (f"__label__{label} {text}\n" for text, label in tweets.labelled(data, "train", 8000))
    texts.write_text("".join(examples), encoding="utf-8")
    # With fewer than eleven threads the library leaves some of its matrices as it finds the memory.
    model = fasttext.train_supervised(str(texts), dim=40, epoch=5, lr=0.5, wordNgrams=2, bucket=20_000, thread=12, verbose=0)
    model.save_model(str(folder / "tweets.bin"))
    return folder / "tweets.bin"


@pytest.fixture(scope="session")
def predict(apus: Path) -> Callable[..., list[bytes]]:
    """What one `apus predict` says of a file of JSON lines."""
    def predict(path: Path, *options: str) -> list[bytes]:
        command = [apus, "predict", "--input", path, "--input-format", "jsonl", "--output-format", "jsonl", *options]
        return subprocess.run(command, capture_output=True, check=True).stdout.splitlines(keepends=True)

    return predict


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """Two workers in one process, each with four tries a task."""
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    builder = SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
    settings = {"spark.sql.warehouse.dir": folder, "spark.local.dir": folder, "spark.sql.session.timeZone": "UTC",
                "spark.sql.shuffle.partitions": 2, "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS"}
    for name, value in settings.items():
        builder = builder.config(name, str(value))
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    for name in ("apus_filter.py", "predict.py"):
        spark.sparkContext.addPyFile(str(REPOSITORY / "deploy/spark" / name))
    yield spark
    spark.stop()


@pytest.fixture(scope="session")
def spark_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PySpark's own installation, but with its workers' folder in a place of the tests."""
    import pyspark

    home = tmp_path_factory.mktemp("spark-home")
    for place in Path(pyspark.__file__).parent.iterdir():
        if place.name != "work":
            (home / place.name).symlink_to(place)
    return home


@pytest.fixture
def submit(spark_home: Path, tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """Starts spark-submit with the script, on two workers that are processes of their own; ends it with the test."""
    processes: list[subprocess.Popen] = []

    def submit(*arguments: object, settings: tuple[str, ...] = (), archives: Path | None = None) -> subprocess.Popen:
        # Busy machines start an executor late, and Spark's master loses patience with what it counts as failures.
        settings = ("spark.ui.enabled=false", "spark.deploy.maxExecutorRetries=-1", *settings)
        command = [spark_home / "bin/spark-submit", "--master", "local-cluster[2,1,1024]", "--executor-memory", "1g",
                   *(part for setting in settings for part in ("--conf", setting)),
                   *(["--archives", f"{archives}#apus"] if archives else []),
                   REPOSITORY / "deploy/spark/predict.py", *arguments]
        process = subprocess.Popen(
            [str(part) for part in command], cwd=tmp_path, env=os.environ | {"SPARK_HOME": str(spark_home)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield submit
    for process in processes:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()
